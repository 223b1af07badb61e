"""Parts for tests of lip sync: a scripted network and its bundle, a voice that says one thing, and faces to speak."""

from pathlib import Path

import numpy as np
from bundles import Script, a_bundle
from fakes import FakeClock, a_face
from sounds import NS

from realtime.audio.mel import SILENCE
from realtime.audio.speech_buffer import MelWindow
from realtime.clock import StageTimer
from realtime.families.lip_sync.lower_face import BELOW
from realtime.families.lip_sync.network import LIP_SYNC_FILE
from realtime.frame import Floats, Frame, Pixels
from realtime.inference.session import TensorSpec
from realtime.models.bundle import Bundle, open_bundle
from realtime.tracking.face import Face

S = 24
F32 = np.dtype(np.float32)
QUIET = MelWindow(np.full((80, 16), SILENCE, np.float32), 0.0, True)
LOUD = MelWindow(np.full((80, 16), 1.0, np.float32), 1.0, True)


class Lips(Script):
    """A scripted lip-sync network."""

    def __init__(self) -> None:
        ports = {"mel": TensorSpec((1, 1, 80, 16), F32), "faces": TensorSpec((1, 6, S, S), F32)}
        super().__init__(ports, {"mouth": np.full((1, 3, S, S), 0.5, np.float32)})

    def open(self, model: Path, **options: object) -> Script:
        assert model.name == LIP_SYNC_FILE
        self.opened_with = options
        return self


def lip_bundle(folder: Path, size: int = S, network: bytes = b"network of eve") -> Bundle:
    card = {"family": "lip-sync", "identity": {"kind": "none"}, "input": {"size": size}}
    return open_bundle(a_bundle(folder, contents={LIP_SYNC_FILE: network}, **card))


def a_mel(seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(-4, 4, (80, 16)).astype(np.float32)


def outline_in(middle: tuple[float, float], radius: float, opened: float = 0.5) -> Floats:
    """(40, 2) a round mouth, open by that share of its radius."""
    around = np.linspace(np.pi, 3 * np.pi, 20, endpoint=False)
    ring = np.stack([np.cos(around), np.sin(around)], 1)
    rings = [middle + radius * ring, middle + radius * ring * (0.8, opened)]
    return np.concatenate(rings).astype(np.float32)


class Says:
    """A voice that says one thing, and remembers when it was asked."""

    delay_s = 0.0

    def __init__(self, spoken: MelWindow = LOUD, *, by_media: bool = True) -> None:
        self.spoken, self.by_media = spoken, by_media
        self.asked: list[int] = []

    def __call__(self, at_ns: int) -> MelWindow:
        self.asked.append(at_ns)
        return self.spoken


def a_frame(picture: Pixels, media_s: float | None = 1.5) -> Frame:
    return Frame(picture, 0, 9 * NS, media_s)


def timer() -> StageTimer:
    return StageTimer(FakeClock())


def in_box(x0: float, y0: float, width: float, height: float) -> Face:
    """A face whose box, chin room included, is exactly these pixels."""
    face = a_face()
    low, span = face.landmarks[:, :2].min(axis=0), np.ptp(face.landmarks[:, :2], axis=0)
    wide = np.array([width - 1, height / (1 + BELOW) - 1])
    flat = (face.landmarks[:, :2] - low) / span * wide + (x0, y0)
    points = np.column_stack([flat, face.landmarks[:, 2]]).astype(np.float32)
    return Face(points, face.blendshapes, face.pose, face.score)
