"""How the fine lip-sync variant is made: widened from the fast one, before a judge of patches and a critic of sync."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from spoken_faces import a_network, a_speaking_take

from realtime.families.lip_sync.network import LIP_POINTS, open_lip_sync
from realtime.models.library import built_in_folder, load_bundle
from trained_models.recipes.lip_sync import fine, to_bundle
from trained_models.recipes.lip_sync import network as net
from trained_models.recipes.lip_sync import sync_critic as sync
from trained_models.recipes.lip_sync.batches import Samples
from trained_models.recipes.lip_sync.samples import SEEN, SIDE
from trained_models.training.ema import run
from trained_models.training.onnx_export import giga_flops

WIDER, FEW = (12, 20, 24), 6


def clips() -> sync.Clips:
    return sync.Clips([a_speaking_take()], Samples([a_speaking_take()], plain=True))


def test_a_wider_decoder_draws_the_same() -> None:
    given = a_network().decoder
    fed = torch.rand(2, 3, net.ROWS, net.SIZE), torch.rand(2, 2, net.ROWS, net.SIZE), torch.rand(2, len(net.CODE))
    fed[2][:, net.JAW] = 0.4  # open: of lips that meet the fine decoder paints nothing
    wide = fine.widened(given, WIDER, FEW, noise_seed=None).eval()
    with torch.no_grad():
        drawn, same, other = given(*fed), wide(*fed), fine.widened(given, WIDER, FEW).eval()(*fed)
    assert (wide.widths, wide.finish) == (WIDER, FEW)
    torch.testing.assert_close(same, drawn, atol=1e-5, rtol=0)
    assert 0 < float((other - drawn).abs().mean()) < 0.05  # its copies are not alike, so that they can part
    with torch.no_grad():
        seen = [
            wide.parts(fed[0], fed[1], torch.eye(len(net.CODE))[[net.JAW, net.JAW]] * jaw)[2].max()
            for jaw in (0.02, 0.5)
        ]
    assert seen[0] == 0 < seen[1]
    with pytest.raises(ValueError, match="widened"):
        fine.widened(given, (4, 12, 16))


def test_a_mouth_is_shut_before_it_is_shown_now_and_then() -> None:
    take = a_speaking_take()
    widest = int(take.codes[0, :, net.JAW].argmax())
    open_, closed = (
        Samples([take], plain=True).pairs([(0, widest, 3)], np.random.default_rng(0), shut=[shut])
        for shut in (False, True)
    )
    dark = [(pairs.shown[0].amax(0) < 0.2).sum() for pairs in (open_, closed)]
    assert dark[1] < 0.3 * dark[0]
    assert torch.equal(open_.truth, closed.truth)
    # Its lips lie where they are shut, and the way from there to the truth's is the longer one.
    between = [(pairs.lips[0].amax(0)[:, SEEN // 2] > 0.5).nonzero().flatten() for pairs in (open_, closed)]
    assert float(between[0].diff().max()) > 3
    assert float(between[1].diff().max()) <= 2
    assert torch.isfinite(closed.moves).all()
    assert not torch.equal(open_.moves, closed.moves)
    # In training some are, whatever their codes.
    often, never = (torch.cat([Samples([take], shut=s).batch(n, 4).shown for n in range(12)]) for s in (0.9, 0.0))
    assert (often.amax(1) < 0.2).sum() < 0.7 * (never.amax(1) < 0.2).sum()


def test_where_a_mouth_opens_is_told() -> None:
    take = a_speaking_take()
    widest = int(take.codes[0, :, net.JAW].argmax())
    pairs = Samples([take], plain=True).pairs([(0, 0, widest), (0, widest, widest)], np.random.default_rng(0))
    middle = round(float(np.mean(take.outlines[0, widest, len(LIP_POINTS) // 2 :, 1])) - (SIDE - SEEN) / 2 - net.TOP)
    assert pairs.opened[0, 0, middle - 4, SEEN // 2] > 0.9  # at rest it is open by two rows
    assert pairs.opened[0].sum() > 50
    assert pairs.opened[1].sum() < 0.2 * pairs.opened[0].sum()  # open already


def test_clips_are_five_pictures_and_their_sound() -> None:
    made = clips()
    clip, again = made.batch(3, 4, plain=True), made.batch(3, 4, plain=True)
    assert torch.equal(clip.faces, again.faces)
    assert clip.faces.shape == (4, sync.MOUTHS, 3, net.ROWS, net.SIZE)
    assert torch.equal(clip.heard, clip.mels[:, 0])
    assert not torch.equal(clip.heard, clip.wrong)
    edge = (SIDE - SEEN) // 2
    take, first = clip.picked[0]
    frame = a_speaking_take().frames[take, first + 2, edge + net.TOP : edge + SEEN, edge : edge + SEEN]
    np.testing.assert_allclose(clip.faces[0, 2].permute(1, 2, 0).numpy() * 255, frame, atol=1e-3)
    cut = sync.mouths(clip.faces, clip.corners)
    assert cut.shape == (4, sync.MOUTHS, 3, sync.HIGH, sync.WIDE)
    dark = (cut[0].amax(1) < 0.2).flatten(1).sum(1)
    assert int(dark.max()) == int((clip.faces[0].amax(1) < 0.2).flatten(1).sum(1).max())  # all of the mouth is in it
    shown, lips = made.shown(clip, 3)
    assert shown.shape == (4 * sync.MOUTHS, 3, net.ROWS, net.SIZE)
    assert torch.equal(shown[0], shown[sync.MOUTHS - 1])
    assert lips.shape == (4 * sync.MOUTHS, 2, net.ROWS, net.SIZE)


@pytest.mark.slow
def test_the_critic_learns_which_sound_is_in_step_and_is_kept(tmp_path: Path) -> None:
    made = clips()
    critic = sync.train_sync_critic(made, made, tmp_path, steps=24, batch=8)
    clip = made.batch(100, 24)
    cut = sync.mouths(clip.faces, clip.corners)
    share, cosine = sync.told_apart(critic, cut, clip)
    assert share > 0.7
    assert -1 <= cosine <= 1
    with torch.no_grad():
        right, wrong = (sync.contrast(critic, cut, clip), sync.contrast(critic, cut, replace(clip, heard=clip.wrong)))
    assert right < wrong
    again = sync.train_sync_critic(made, made, tmp_path, steps=24)
    assert sync.told_apart(again, cut, clip) == (share, cosine)
    assert not any(p.requires_grad for p in again.parameters())


@pytest.mark.slow
def test_the_judge_tells_paint_from_truth_where_mouths_open() -> None:
    torch.manual_seed(2)
    judge, codes = fine.PatchDiscriminator(), torch.rand(6, len(net.CODE))
    truth, opened = (torch.rand(6, 3, sync.HIGH, sync.WIDE), torch.zeros(6, 1, sync.HIGH, sync.WIDE))
    opened[:, :, 20:36, 24:48] = 1
    painted = truth.clone()
    painted[:, :, 20:36, 24:48] = 0.5
    optimizer = torch.optim.Adam(judge.parameters(), lr=1e-3)
    before = float(fine.discriminator_loss(judge, truth, painted, codes, opened).detach())
    for _ in range(12):
        optimizer.zero_grad()
        fine.discriminator_loss(judge, truth, painted, codes, opened).backward()
        optimizer.step()
    assert float(fine.discriminator_loss(judge, truth, painted, codes, opened).detach()) < 0.6 * before
    looks, alike = fine.adversarial_loss(judge, truth, painted, codes, opened)
    real, same = fine.adversarial_loss(judge, truth, truth, codes, opened)
    assert looks > real
    assert alike > 0.01
    assert same == 0
    assert float(fine.discriminator_loss(judge, truth, painted, codes, 0 * opened).detach()) == 0  # nothing to be told


@pytest.mark.slow
def test_the_fine_decoder_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    made, samples, first = clips(), Samples([a_speaking_take()], shut=0.4), a_network()
    critic = sync.train_sync_critic(made, made, tmp_path, steps=2, batch=4)
    plan = replace(fine.FINE_PLAN, batch=2)

    def start() -> fine.FineTraining:
        torch.manual_seed(7)
        begun = fine.FineTraining(plan, made, first, critic, WIDER, FEW)
        begun.begin(fine.widened(first.decoder, WIDER, FEW))
        return begun

    whole = start()
    alone = whole.step(samples.batch(0, 2))
    whole.step_number = fine.FROM + 1
    judged = whole.step(samples.batch(1, 2))
    whole.step_number = fine.IN_STEP_FROM
    heard = whole.step(samples.batch(2, 2))
    assert ("painted" in alone, "painted" in judged, "late" in judged, "late" in heard) == (False, True, False, True)
    whole.save(tmp_path / "fine.pt")
    resumed = start()
    resumed.load(tmp_path / "fine.pt")
    ends = [t.step(samples.batch(3, 2)) for t in (whole, resumed)]
    assert ends[0] == ends[1]
    before = [p.clone() for p in first.encoder.parameters()]
    begun = fine.FineTraining(replace(plan, steps=2), made, first, critic, WIDER, FEW)
    ended = run(
        begun, lambda: samples, samples.batch(9, 2), tmp_path / "run", begin=fine.widened(first.decoder, WIDER, FEW)
    )
    assert ended.step_number == 2
    assert all(torch.equal(a, b) for a, b in zip(before, first.encoder.parameters(), strict=True))  # the encoder stays


@pytest.mark.slow
def test_the_fine_export_is_the_network_and_is_told_on_the_card(tmp_path: Path) -> None:
    first = a_network()
    finer = net.LipSync(first.encoder, fine.widened(first.decoder, WIDER, FEW).eval()).eval()
    torch.nn.init.normal_(finer.decoder.field.weight, std=0.02)
    samples = [
        (
            torch.randn(1, 1, 80, 16).clamp(-4, 4),
            torch.rand(1, 6, net.SIZE, net.SIZE),
            torch.rand(1, 2, net.SIZE, net.SIZE),
        )
    ]
    for file in (built_in_folder() / "lip-sync").iterdir():  # as the first network: it is fed alike
        (tmp_path / "talk").mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / "talk")
    _, parity = to_bundle.to_onnx(finer, samples, fine=True)
    assert parity.worst < 2e-4
    for _ in range(2):  # a second export takes the first one's place
        to_bundle.add_fine(tmp_path / "talk", finer, samples, {"steps": 5})
    bundle = load_bundle(tmp_path / "talk")
    assert bundle.card.output.fine_size == 256
    assert bundle.card.training["fine_steps"] == 5
    assert {"work", "silence", "fine_work", "fine_export"} <= set(bundle.card.measured)
    live = open_lip_sync(bundle, provider="cpu", threads=1)
    # One flat colour on a fine chequer: what the field moves stays as sharp, what is above stays to the bit.
    face = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    drawn = live.mouth(face, samples[0][0][0, 0].numpy())
    live.close()
    np.testing.assert_array_equal(drawn[: 2 * net.TOP - 2], face[: 2 * net.TOP - 2])
    assert not np.array_equal(drawn, face)
    to_bundle.save_weights(finer, tmp_path / "fine.npz")
    again = to_bundle.load_weights(tmp_path / "fine.npz")
    assert (again.decoder.widths, again.decoder.finish) == (WIDER, FEW)


def test_the_built_in_fine_variant_is_as_wide_as_its_recipe_says() -> None:
    blank = torch.zeros(1, 1, 80, 16), torch.zeros(1, 6, net.SIZE, net.SIZE), torch.zeros(1, 2, net.SIZE, net.SIZE)
    whole = net.LipSync(net.AudioEncoder(), net.Decoder(net.FINE_WIDTHS, net.FINISH)).eval()
    assert 1.5 < giga_flops(whole, blank) < 4
