"""The quality benchmark: its formulas on made-up series, and a tiny run with scripted parts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import FakeFinder, FakeSource, FakeSwapper, a_face

from benchmarks.agreement import (
    BLENDSHAPES,
    LEADING,
    expression,
    gain,
    geodesic_deg,
    head_angles,
    jitter,
    moving,
    pearson,
    rotation,
    stillest,
    targets,
)
from benchmarks.clip_figures import ClipRecord, across_clips, clip_figures
from benchmarks.pictures import Flicker, beyond, face_box, mean_portrait, share_hidden, steadiness
from benchmarks.quality import told
from benchmarks.reading import choose_reader
from benchmarks.sheet import Sheet, save
from benchmarks.stand import Stand
from realtime.errors import ConfigError
from realtime.face import Face
from realtime.frame import Frame, Pixels
from realtime.settings import Settings
from realtime.swap import Swapped

SIZE = (320, 240)


def turned(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def test_there_are_52_channels_in_mediapipes_order() -> None:
    assert len(BLENDSHAPES) == len(set(BLENDSHAPES)) == 52
    assert BLENDSHAPES[0] == "_neutral"
    assert [BLENDSHAPES.index(n) for n in ("browInnerUp", "eyeBlinkLeft", "jawOpen", "mouthSmileRight")] == [
        3,
        9,
        25,
        45,
    ]
    assert BLENDSHAPES[-1] == "noseSneerRight"


def test_correlation_and_gain_are_told_apart() -> None:
    x = np.sin(np.linspace(0, 9, 50))
    assert pearson(x, 0.3 * x + 0.2) == pytest.approx(1.0)
    assert gain(x, 0.3 * x + 0.2) == pytest.approx(0.3)
    assert pearson(x, -x) == pytest.approx(-1.0)
    assert pearson(x, np.full(50, 0.4)) is None
    assert gain(np.full(50, 0.4), x) is None


def test_only_channels_that_move_are_judged() -> None:
    driver = np.zeros((40, 52))
    driver[:, BLENDSHAPES.index("jawOpen")] = 0.5 + 0.5 * np.sin(np.linspace(0, 12, 40))
    driver[:, BLENDSHAPES.index("cheekPuff")] = 0.5 + 0.5 * np.cos(np.linspace(0, 12, 40))
    driver[:, BLENDSHAPES.index("browInnerUp")] = 0.05 * np.sin(np.linspace(0, 12, 40))
    found = expression(driver, driver * 0.4)
    assert moving(found) == ["jawOpen", "cheekPuff"]
    assert found["jawOpen"]["r"] == 1.0
    assert found["jawOpen"]["gain"] == pytest.approx(0.4)
    assert "_neutral" not in found
    clip = {
        "coverage": {"share": 1.0},
        "blendshapes": found,
        "pose_deg": {"mean": 3.0},
        "outside": {"beyond_mask_max": 0},
    }
    kept = {t["what"]: t["kept"] for t in targets(clip)}
    assert kept == {
        "coverage": True,
        "jawOpen r": True,
        "jawOpen gain": False,
        "pose error, degrees": True,
        "outside the mask, levels": True,
    }


def test_the_angle_between_two_heads() -> None:
    a, b = np.stack([turned(0), turned(10)]), np.stack([turned(3), turned(-80)])
    assert geodesic_deg(a, b) == pytest.approx([3.0, 90.0])
    assert rotation(2.5 * turned(20)) == pytest.approx(turned(20))


def test_a_constant_turn_is_told_apart_from_not_following() -> None:
    driver = np.stack([turned(t) for t in np.linspace(-20, 20, 30)])
    found = head_angles(driver, np.stack([turned(t + 5) for t in np.linspace(-20, 20, 30)]))
    assert found["mean"] == pytest.approx(5.0)
    assert found["constant"] == pytest.approx(5.0)
    assert found["mean_without_constant"] == pytest.approx(0.0, abs=0.01)
    damped = head_angles(driver, np.stack([turned(t / 2) for t in np.linspace(-20, 20, 30)]))
    assert damped["mean_without_constant"] == pytest.approx(damped["mean"], abs=0.05)
    assert head_angles(driver[:0], driver[:0])["mean"] is None


def test_jitter_sees_trembling_and_not_even_motion() -> None:
    points = np.zeros((30, 478, 2))
    points[:, 263] = [100.0, 0.0]
    even = points + np.arange(30)[:, None, None] * 2.0
    assert jitter(even)["rms_px"] == 0.0
    shaken = even.copy()
    shaken[::2] += [1.0, 1.0]
    # 1, 0, 1: second differences of 2 px in x and in y, and the eyes are 100 px apart.
    assert jitter(shaken)["rms_px"] == pytest.approx(2.0)
    assert jitter(shaken)["of_eyes_percent"] == pytest.approx(2.0 * 2**0.5, abs=1e-3)
    half = even.copy()
    half[15:] += np.cumsum(np.arange(15))[:, None, None] * 3.0
    assert jitter(half, stillest(half))["rms_px"] == 0.0


def texture(shift: int = 0, noise: float = 0.0, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(3)
    wide = cv2.GaussianBlur(rng.integers(0, 255, (SIZE[1], SIZE[0] + 40, 3)).astype(np.uint8), (0, 0), 3)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    own = wide[:, shift : shift + SIZE[0]].astype(np.float64)
    own += np.random.default_rng(seed).normal(0, noise, own.shape) if noise else 0.0
    return np.ascontiguousarray(np.clip(own, 0, 255), dtype=np.uint8)


def test_flicker_forgives_motion_and_sees_what_changes_by_itself() -> None:
    box = (20, 20, 300, 220)
    flicker = Flicker(("flickering", "steady", "driver"))
    for n in range(8):
        driver = texture(shift=2 * n)
        steady = np.asarray(255 - driver, dtype=np.uint8)
        flickering = np.clip(steady.astype(np.int16) + (25 if n % 2 else -25), 0, 255).astype(np.uint8)
        flicker.add(driver, {"flickering": flickering, "steady": steady, "driver": driver}, box)
    errors = flicker.errors()
    assert errors["steady"] is not None
    assert errors["driver"] is not None
    assert errors["flickering"] is not None
    assert errors["steady"] == pytest.approx(errors["driver"], rel=0.2)
    # Three channels off by 50 of 255 in every step.
    assert errors["flickering"] == pytest.approx(3 * (50 / 255) ** 2, rel=0.25)


def test_flicker_does_not_compare_across_a_gap() -> None:
    flicker = Flicker(("output",))
    flicker.add(texture(), {"output": 255 - texture()}, (20, 20, 300, 220))
    flicker.skip()
    flicker.add(texture(9), {"output": texture(3)}, (20, 20, 300, 220))
    assert flicker.errors() == {"output": None}


def test_a_change_outside_the_mask_is_found_to_the_level() -> None:
    before = np.full((48, 64, 3), 90, np.uint8)
    after = before.copy()
    mask = np.zeros((48, 64), np.float32)
    square = np.zeros((48, 64), np.float32)
    square[10:40, 10:40] = 1.0
    mask[20:30, 20:30] = 1.0
    after[20:30, 20:30] = 250
    assert beyond(before, after, mask, square) == (0, 0)
    after[12, 12] = 93
    assert beyond(before, after, mask, square) == (3, 0)
    after[0, 0, 1] = 95
    assert beyond(before, after, mask, square) == (5, 5)


def test_a_translucent_swap_does_not_count_as_hiding() -> None:
    face = a_face((32, 24), 30)
    assert share_hidden(np.ones((48, 64), np.float32), face) == 1.0
    assert share_hidden(np.full((48, 64), 0.6, np.float32), face) == 0.0


def test_one_steady_person_is_told_from_two() -> None:
    rng = np.random.default_rng(5)
    a, b = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 4096)).astype(np.float32))
    assert steadiness([a, a, a])["mean"] == pytest.approx(1.0)
    both = steadiness([a, b, a, b])
    assert both["mean"] is not None
    assert both["mean"] < 0.75
    assert steadiness([])["mean"] is None
    assert float(mean_portrait([a, a]) @ a) == pytest.approx(1.0, abs=1e-5)


def test_a_box_stays_in_the_picture_or_is_none() -> None:
    assert face_box(a_face((160, 120), 100), SIZE, 0.1) is not None
    x0, y0, x1, y1 = face_box(a_face((10, 10), 100), SIZE, 0.5) or (0, 0, 0, 0)
    assert (x0, y0) == (0, 0)
    assert x1 <= SIZE[0]
    assert y1 <= SIZE[1]
    assert face_box(a_face((-500, 10), 100), SIZE, 0.1) is None


def acting_face(seq: int) -> Face:
    """A face that turns, drifts, and opens and shuts its jaw."""
    face = a_face((150 + seq, 120), 140)
    shapes = np.zeros(52, np.float32)
    shapes[BLENDSHAPES.index("jawOpen")] = 0.5 + 0.5 * np.sin(seq)
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = turned(seq)
    return Face(face.landmarks, shapes, pose, 0.9)


class FakeReader:
    """Reads what the script says, whatever the picture; counts what it was shown."""

    def __init__(self, blind: bool = False) -> None:
        self.blind = blind
        self.seen = 0

    def read(self, frame: Frame) -> Face | None:
        self.seen += 1
        return None if self.blind else acting_face(frame.seq)

    def visible(self, frame: Frame) -> bool:
        return not self.blind

    def close(self) -> None:
        pass


class ThinSwapper(FakeSwapper):
    """Draws its face so thin that the driver shows through."""

    def __call__(self, crop: Pixels, face: Face) -> Swapped:
        made = super().__call__(crop, face)
        return Swapped(made.pixels, np.full_like(made.mask, 0.7))


def a_stand(swapper: FakeSwapper, readers: list[FakeReader], lost: tuple[int, ...] = ()) -> Stand:
    finder = FakeFinder(lambda seq: [] if seq in lost else [acting_face(seq)])
    settings = Settings(color_transfer="none", mask_blur=8, mask_erode=0)
    return Stand(finder, swapper, settings, readers)


def frames(count: int) -> FakeSource:
    return FakeSource([texture(shift=n) for n in range(count)], SIZE)


def test_a_clip_worked_off_gives_its_figures(tmp_path: Path) -> None:
    readers = [FakeReader() for _ in range(4)]
    sheet = Sheet("made-up")
    record = a_stand(FakeSwapper(), readers, lost=(5,)).work(frames(20), "made-up", sheet)
    assert record.frames == 20
    assert [r.seen for r in readers] == [20, 19, 19, 19]
    clip = clip_figures(record)
    assert clip["coverage"]["visible"] == 20
    assert clip["coverage"]["replaced"] == 19
    assert clip["coverage"]["share"] == pytest.approx(0.95)
    assert clip["coverage"]["hidden"] > 0.95
    assert clip["blendshapes"]["jawOpen"]["r"] == 1.0
    assert clip["pose_deg"]["mean"] == 0.0
    assert clip["outside"] == {"beyond_mask_max": 0, "beyond_crop_max": 0}
    assert clip["jitter"]["output"]["rms_px"] == pytest.approx(0.0, abs=1e-4)
    assert set(clip["weak"]) == set(LEADING) - {"jawOpen"}
    assert [t["what"] for t in clip["targets"] if not t["kept"]] == ["coverage"]
    assert "19 of them replaced" in told(clip)[0]
    json.dumps(clip)
    save([sheet], tmp_path / "sheet.png")
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture is not None
    assert picture.std() > 10


def test_a_swap_that_lets_the_driver_through_is_no_replacement() -> None:
    record = a_stand(ThinSwapper(), [FakeReader() for _ in range(4)]).work(frames(6), "made-up")
    clip = clip_figures(record)
    # Read from such a picture the acting is perfect: coverage is what gives it away.
    assert clip["blendshapes"]["jawOpen"]["r"] == 1.0
    assert clip["coverage"]["share"] == 0.0


def test_frames_without_a_face_do_not_count_against_the_swap() -> None:
    record = a_stand(FakeSwapper(), [FakeReader(blind=True)] * 4, lost=tuple(range(9))).work(
        frames(9), "nobody"
    )
    clip = clip_figures(record)
    assert clip["coverage"]["visible"] == 0
    assert clip["coverage"]["share"] is None
    assert clip["pose_deg"]["mean"] is None
    assert told(clip)


def test_likeness_across_clips_needs_two_of_them() -> None:
    stand = [FakeReader() for _ in range(4)]
    records = [a_stand(FakeSwapper(), stand).work(frames(4), name) for name in ("a", "b")]
    assert across_clips(records[:1]) is None
    both = across_clips(records)
    assert both is not None
    assert set(both) == {"outputs", "drivers"}
    assert across_clips([ClipRecord("empty", 30.0, SIZE), records[0]]) is None


def test_an_empty_clip_and_an_empty_sheet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no frame"):
        a_stand(FakeSwapper(), [FakeReader() for _ in range(4)]).work(FakeSource([], SIZE), "empty")
    with pytest.raises(ConfigError, match="no face"):
        save([Sheet("empty")], tmp_path / "sheet.jpg")


def test_the_reader_asked_for_must_be_there() -> None:
    assert choose_reader("own") == "own"
    try:
        import mediapipe  # noqa: F401
    except ImportError:
        assert choose_reader("auto") == "own"
        with pytest.raises(ConfigError, match="mediapipe"):
            choose_reader("mediapipe")
    else:
        assert choose_reader("auto") == "mediapipe"
