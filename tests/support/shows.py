"""A puppeteer before a toy audience: frames in at 25 a second, pictures out."""

from typing import Any

import numpy as np
from fakes import SIZE, FakeClock, a_face
from puppets import ToyModel, a_puppeteer

from realtime.clock import StageTimer
from realtime.families.motion.effect import ReenactmentEffect
from realtime.frame import Frame, Pixels
from realtime.settings import Settings
from realtime.tracking.face import Face

PLAIN = Settings(sharpen=0)
MIDDLE = (SIZE[1] // 2, SIZE[0] // 2, 0)
RATE = 25


class Show:
    """Turns frames into pictures at 25 a second; `value` is the driver's pose, `RAW` everywhere else."""

    def __init__(self, puppet: ToyModel | None = None, avatars: Any = None) -> None:
        self.puppet = puppet or ToyModel()
        self.puppeteer: ReenactmentEffect[Any, float] = a_puppeteer(self.puppet, avatars)
        self.seq = 0

    def __call__(
        self, value: int = 100, settings: Settings = PLAIN, face: Face | str | None = "front"
    ) -> Pixels | None:
        noise = np.random.default_rng(self.seq).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
        noise[0, 0] = value
        frame = Frame(noise, self.seq, 0, self.seq / RATE)
        self.seq += 1
        faces = [] if face is None else [a_face() if isinstance(face, str) else face]
        return self.puppeteer(frame, faces, settings, StageTimer(FakeClock()))

    def run(self, seconds: float, *args: Any, **more: Any) -> list[Pixels | None]:
        return [self(*args, **more) for _ in range(round(seconds * RATE))]


def turned(yaw_deg: float, track: int = 0, score: float = 0.99, jaw: float = 0.0) -> Face:
    plain = a_face()
    pose = np.eye(4, dtype=np.float32)
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    pose[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    shown = plain.blendshapes.copy()
    shown[25] = jaw
    return Face(plain.landmarks, shown, pose, score, track)


def light(picture: Pixels | None) -> int:
    assert picture is not None
    return int(picture[MIDDLE])
