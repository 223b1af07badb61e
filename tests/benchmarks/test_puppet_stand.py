"""A scripted driver moves a toy avatar: what is counted, and what would be caught."""

import json
from typing import Any

import numpy as np
import pytest
from acting import texture
from fakes import SIZE, FakeFinder, FakeSource, a_face
from puppets import ToyPuppet, an_avatar
from test_quality import acting_face

from benchmarks.goals import MOTION_GOALS, judge_all
from benchmarks.motion_figures import motion_figures, told
from benchmarks.puppet_stand import DriveRecord, PuppetStand, freeze
from benchmarks.sheet import Sheet
from benchmarks.watched_puppet import WatchedPuppet
from realtime.errors import ConfigError
from realtime.families.motion.effect import ReenactmentEffect
from realtime.frame import Frame, Pixels
from realtime.settings import Settings
from realtime.tracking.face import Face

CALM = Settings(sharpen=0)


class Scripted:
    """Reads what the actor did, whatever the picture; `blind` from a frame on."""

    def __init__(self, blind_from: int = 10**9, gain: float = 1.0) -> None:
        self.blind_from, self.gain = blind_from, gain

    def read(self, frame: Frame) -> Face | None:
        if frame.seq >= self.blind_from:
            return None
        face = acting_face(frame.seq)
        return Face(face.landmarks, face.blendshapes * np.float32(self.gain), face.pose, 0.9)

    def visible(self, frame: Frame) -> bool:
        return frame.seq < self.blind_from

    def close(self) -> None:
        pass


class Spilling(ReenactmentEffect[Any, Any]):
    """Changes a pixel in the corner, where nothing may move."""

    def __call__(self, *args: Any) -> Pixels | None:
        picture = super().__call__(*args)
        if picture is not None:
            picture[-1, -1] = 97
        return picture


def a_record(
    output: Scripted,
    kind: type[ReenactmentEffect[Any, Any]] = ReenactmentEffect,
    lost: tuple[int, ...] = (),
    sheet: Sheet | None = None,
    frames: int = 12,
) -> DriveRecord:
    puppet, avatar = WatchedPuppet(ToyPuppet()), an_avatar("ann", 90)
    character = kind(puppet, [avatar], background=lambda text: None)
    # The tracker sees the canonical head; the readers read the acting.
    finder = FakeFinder(lambda seq: [] if seq in lost else [a_face()])
    readers = [Scripted(), output, Scripted()]
    stand = PuppetStand(finder, character, puppet, avatar, CALM, readers)
    pictures = [texture(shift=n) for n in range(frames)]
    return stand.work(FakeSource(pictures, SIZE), "made-up", sheet)


def test_a_faithful_avatar_keeps_every_goal() -> None:
    sheet = Sheet("toy")
    record = a_record(Scripted(), sheet=sheet)
    clip = motion_figures(record)
    assert (record.frames, record.driven, record.waiting, record.failed) == (12, 12, 0, 0)
    assert clip["coverage"]["faceless"] == 0.0
    assert clip["expression"]["jaw_r"] == 1.0
    assert clip["pose_deg"]["mean_without_constant"] == pytest.approx(0.0, abs=0.05)
    assert clip["outside"]["beyond_mask_max"] == 0
    assert clip["distortion"]["distorted"] == 0.0
    assert not [goal["what"] for goal in clip["goals"] if goal["met"] is False]
    assert {goal["what"] for goal in clip["goals"]} == {goal.what for goal in MOTION_GOALS}
    assert sheet.picture() is not None
    assert told(clip)[0].startswith("made-up, avatar ann: 12 frames, 12 driven")
    json.dumps(clip)


def test_what_is_damped_lost_or_spilled_is_seen() -> None:
    damped = motion_figures(a_record(Scripted(gain=0.4)))
    assert damped["expression"]["jaw_gain"] == pytest.approx(0.4, abs=0.01)
    lost = motion_figures(a_record(Scripted(blind_from=8)))
    assert lost["coverage"]["faceless"] == pytest.approx(1 / 3, abs=0.01)
    spilled = motion_figures(a_record(Scripted(), Spilling))
    assert spilled["outside"]["beyond_mask_max"] == 7
    together = {g["what"]: g["met"] for g in judge_all([damped, lost, spilled], MOTION_GOALS)}
    assert together["driven frames without a face"] is False
    assert together["change outside the moving region, levels"] is False


def test_frames_without_a_driver_are_not_judged() -> None:
    record = a_record(Scripted(), lost=tuple(range(3)), frames=16)
    assert record.waiting == 3  # nobody to be neutral yet
    # Somebody who comes wakes the avatar up gently, which takes 0.3 seconds.
    assert 3 <= record.driven <= 6
    assert sum(driver is not None for driver, _, _, _ in record.readings) == record.driven


def test_a_still_picture_under_noise_is_followed_by_its_trembling() -> None:
    puppet, avatar = WatchedPuppet(ToyPuppet()), an_avatar("ann", 90)
    record = a_record(Scripted(), frames=2)
    character = ReenactmentEffect[Any, Any](puppet, [avatar], background=lambda text: None)
    freeze(FakeFinder(lambda seq: [a_face()]), character, puppet, avatar, CALM, record)
    # The toy's driving pose is one noisy pixel.
    assert record.frozen["pixels"] > 100
    assert 0.3 < record.frozen["ratio"] < 2.5
    nobody = DriveRecord("none", "ann", 25.0, SIZE)
    freeze(FakeFinder(), character, puppet, avatar, CALM, nobody)
    assert "missing" in nobody.frozen


def test_an_empty_clip_is_refused() -> None:
    puppet, avatar = WatchedPuppet(ToyPuppet()), an_avatar("ann", 90)
    character = ReenactmentEffect[Any, Any](puppet, [avatar], background=lambda text: None)
    stand = PuppetStand(FakeFinder(), character, puppet, avatar, CALM, [Scripted()] * 3)
    with pytest.raises(ConfigError, match="no frame"):
        stand.work(FakeSource([], SIZE), "empty")
