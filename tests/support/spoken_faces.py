"""Made-up samples for the tests of the lip-sync recipe: a dark mouth that opens, and a voice that goes with it."""

import cv2
import numpy as np
import torch

from trained_models.recipes.lip_sync.encoder_training import Sayings
from trained_models.recipes.lip_sync.network import CODE, JAW, AudioEncoder, Decoder, LipSync
from trained_models.recipes.lip_sync.samples import PICTURES, SIDE, SpokenSamples
from trained_models.recipes.lip_sync.spoken import Spoken

SLIM = (8, 12, 16)


def a_take() -> SpokenSamples:
    """One person with a dark mouth as high as the jaw is open, twice."""
    rng = np.random.default_rng(1)
    codes = np.zeros((2, PICTURES, len(CODE)), np.float32)
    codes[:, 1:, JAW] = rng.uniform(0, 1, (2, PICTURES - 1))
    wave = 128 + 60 * np.sin(np.arange(SIDE) / 9)[:, None] * np.sin(np.arange(SIDE) / 7)[None]
    frames = np.repeat(wave[None, None, :, :, None].astype(np.uint8), 2, 0).repeat(PICTURES, 1).repeat(3, 4)
    for take in range(2):
        for k in range(PICTURES):
            high = round(1 + 14 * float(codes[take, k, JAW]))
            cv2.ellipse(frames[take, k], (80, 112), (16, high), 0, 0, 360, (20, 15, 40), -1)
    lips = np.tile(np.array([[96, 112], [64, 112], [80, 108], [80, 116]], np.float32), (2, PICTURES, 1, 1))
    around = np.linspace(np.pi, 3 * np.pi, 20, endpoint=False)
    outer, inner = (np.stack([80 + w * np.cos(around), 112 + h * np.sin(around)], 1) for w, h in ((18, 16), (16, 9)))
    outlines = np.tile(np.concatenate([outer, inner]).astype(np.float32), (2, PICTURES, 1, 1))
    return SpokenSamples(frames, codes, lips, outlines, np.full((2, 80, 120), -4, np.float32), cartoon=False)


def sayings(count: int = 600) -> Sayings:
    """A made-up voice: its low bands are as loud as its jaw is open."""
    rng = np.random.default_rng(2)
    jaw = np.clip(np.convolve(rng.normal(0, 2, count), np.ones(9) / 9, "same"), 0, 1).astype(np.float32)
    mel = np.full((80, count), -4, np.float32)
    mel[5:50] += 6 * jaw
    codes = np.zeros((count, len(CODE)), np.float32)
    codes[:, JAW] = jaw
    return Sayings([Spoken(mel, codes, "made up")])


def a_speaking_take() -> SpokenSamples:
    """As `a_take`, with outlines that open as far as its jaw, and a sound that is as loud."""
    take = a_take()
    around = np.linspace(np.pi, 3 * np.pi, 20, endpoint=False)
    signs = np.sign(np.sin(np.concatenate([around, around])))[:, None]
    mel = np.full((2, 80, 120), -4, np.float32)
    outlines = take.outlines.copy()
    for one in range(2):
        for k in range(PICTURES):
            high = 1 + 14 * float(take.codes[one, k, JAW])
            rings = [np.stack([80 + w * np.cos(around), 112 + h * np.sin(around)], 1) for w, h in ((20, 5), (16, 0))]
            outlines[one, k] = np.concatenate(rings) + signs * (0, high)
            start = 24 + int((k - 1) * 3.2)
            mel[one, 10:40, max(start, 0) : start + 4] = 6 * float(take.codes[one, k, JAW]) - 4
    return SpokenSamples(take.frames, take.codes, take.lips, outlines.astype(np.float32), mel, cartoon=False)


def a_network() -> LipSync:
    torch.manual_seed(4)
    network = LipSync(AudioEncoder(), Decoder(SLIM)).eval()
    for module in network.decoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, std=0.05)
    return network
