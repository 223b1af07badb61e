"""The formulas of acting, on made-up series: correlation, gain, pose, jitter, blinks, lips."""

import numpy as np
import numpy.typing as npt
import pytest
from acting import turned
from fakes import a_face
from mesh_faces import a_face as a_mesh_face
from mesh_faces import a_shape

from benchmarks.metrics import acting as act
from benchmarks.metrics.acting import BLENDSHAPES
from realtime.tracking.face import Face

Reals = npt.NDArray[np.float64]

WAVE = 0.5 + 0.5 * np.sin(np.linspace(0, 12, 40))
WORDS = 0.15 + 0.1 * np.sin(np.arange(40) * 0.7)


def channels(**moved: Reals | float) -> Reals:
    """(40, 52): the named channels move, the others rest."""
    found = np.zeros((40, 52))
    for name, line in moved.items():
        found[:, BLENDSHAPES.index(name)] = line
    return found


def lids(*peaks: int, length: int = 100, usual: float = 0.1, height: float = 0.8) -> Reals:
    """Lids shut at `peaks`, five frames a blink."""
    line = np.full(length, usual)
    for peak in peaks:
        for off, share in ((-2, 0.3), (-1, 0.7), (0, 1.0), (1, 0.7), (2, 0.3)):
            line[peak + off] = usual + (height - usual) * share
    return line


def faces(line: Reals, jaw: float = 0.0) -> list[Face | None]:
    """Faces whose lids follow `line`; None where it is NaN."""
    made: list[Face | None] = []
    for value in line:
        shapes = np.zeros(52, np.float32)
        shapes[[BLENDSHAPES.index("eyeBlinkLeft"), BLENDSHAPES.index("eyeBlinkRight")]] = value
        shapes[BLENDSHAPES.index("jawOpen")] = jaw
        face = Face(np.zeros((478, 3), np.float32), shapes, np.eye(4, dtype=np.float32), 0.9)
        made.append(None if np.isnan(value) else face)
    return made


def speaking(gaps: Reals) -> list[Face | None]:
    """Faces whose lips are so many outer-eye distances apart."""
    made: list[Face | None] = []
    for gap in gaps:
        face = a_face((160, 120), 140)
        eyes = float(np.linalg.norm(face.landmarks[33] - face.landmarks[263]))
        face.landmarks[act.LOWER_LIP] = face.landmarks[act.UPPER_LIP] + [0, gap * eyes, 0]
        made.append(face)
    return made


def test_there_are_52_channels_in_mediapipes_order() -> None:
    assert len(BLENDSHAPES) == len(set(BLENDSHAPES)) == 52
    known = {"_neutral": 0, "browInnerUp": 3, "eyeBlinkLeft": 9, "jawOpen": 25, "mouthSmileRight": 45}
    assert {name: BLENDSHAPES.index(name) for name in known} == known
    assert BLENDSHAPES[-1] == "noseSneerRight"


def test_correlation_and_gain() -> None:
    still = np.full(40, 0.4)
    assert act.pearson(WAVE, 0.3 * WAVE + 0.2) == pytest.approx(1.0)
    assert act.gain(WAVE, 0.3 * WAVE + 0.2) == pytest.approx(0.3)
    assert act.pearson(WAVE, -WAVE) == pytest.approx(-1.0)
    assert act.pearson(WAVE, still) is act.gain(still, WAVE) is None


def test_only_channels_that_move_are_judged() -> None:
    driver = channels(jawOpen=WAVE, cheekPuff=WAVE[::-1], browInnerUp=0.05 * WAVE)
    found = act.expression(driver, driver * 0.4)
    assert act.moving(found) == ["jawOpen", "cheekPuff"]
    assert found["jawOpen"]["r"] == 1.0
    assert found["jawOpen"]["gain"] == pytest.approx(0.4)
    assert "_neutral" not in found
    assert "browInnerUp" in act.weak(found)


def test_a_channel_that_the_output_does_not_move_counts_as_nothing() -> None:
    driver = channels(jawOpen=WAVE, mouthPucker=WAVE[::-1])
    found = act.together(act.expression(driver, channels(jawOpen=WAVE, mouthPucker=0.3)))
    assert found == {
        **{"moving": 2, "mean_r": 0.5, "lowest_r": 0.0, "mean_gain": 0.5},
        **{"lowest_gain": 0.0, "highest_gain": 1.0, "gain_kept": 0.5},
    }
    nobody = act.together(act.expression(driver * 0, driver))
    assert nobody.pop("moving") == 0
    assert set(nobody.values()) == {None}


def test_the_angle_between_two_heads() -> None:
    a, b = np.stack([turned(0), turned(10)]), np.stack([turned(3), turned(-80)])
    assert act.geodesic_deg(a, b) == pytest.approx([3.0, 90.0])
    assert act.rotation(2.5 * turned(20)) == pytest.approx(turned(20))


def test_a_constant_turn_is_separated_from_not_following() -> None:
    angles = np.linspace(-20, 20, 30)
    driver, constant, damped = (np.stack([turned(t) for t in line]) for line in (angles, angles + 5, angles / 2))
    found = act.pose_error(driver, constant)
    assert (found["mean"], found["constant"]) == (pytest.approx(5.0), pytest.approx(5.0))
    assert found["mean_without_constant"] == pytest.approx(0.0, abs=0.01)
    found = act.pose_error(driver, damped)
    assert found["mean_without_constant"] == pytest.approx(found["mean"], abs=0.05)
    assert act.pose_error(driver[:0], driver[:0])["mean"] is None


def test_jitter_sees_trembling_and_not_even_motion() -> None:
    points = np.zeros((30, 478, 2))
    points[:, 263] = [100.0, 0.0]
    even = points + np.arange(30)[:, None, None] * 2.0
    assert act.jitter(even)["rms_px"] == 0.0
    shaken = even.copy()
    shaken[::2] += [1.0, 1.0]
    # 1, 0, 1: second differences of 2 px in x and in y, and the eyes are 100 px apart.
    assert act.jitter(shaken) == {"rms_px": pytest.approx(2.0), "of_eyes_percent": pytest.approx(2 * 2**0.5, abs=1e-3)}
    half = even.copy()
    half[15:] += np.cumsum(np.arange(15))[:, None, None] * 3.0
    assert act.jitter(half, act.stillest(half))["rms_px"] == 0.0


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (lids(10, 40, 61), [10, 40, 61]),
        (lids(), []),
        (np.full(5, np.nan), []),
        (lids(30) + np.random.default_rng(1).normal(0, 0.02, 100), [30]),
        (lids(30, height=0.3), []),  # a squint
        (lids(30, usual=0.45, height=0.95), [30]),  # narrow eyes
        (np.where(np.isin(np.arange(100), range(22, 30)), np.nan, lids(20, 60)), [20, 60]),  # a face lost in a blink
        (lids(20)[:21], [20]),  # the clip's end
    ],
)
def test_blinks_are_found_at_their_peaks(line: Reals, found: list[int]) -> None:
    assert act.blinks(line) == found


def test_blinks_within_two_frames_are_the_same_one() -> None:
    assert act.blink_match([10, 40, 70], [12, 38, 70]) == {"driver": 3, "output": 3, "both": 3, "f1": 1.0}
    # One blink of the output can't be two of the driver's.
    assert act.blink_match([10, 11], [10])["both"] == 1
    assert [act.blink_match(*pair)["f1"] for pair in (([10], [13]), ([], []), ([], [5]))] == [0.0, None, 0.0]
    assert act.f1(3, 4, 4) == 0.75


def test_an_output_that_blinks_alone_or_not_at_all_is_seen() -> None:
    driver, lost = faces(lids(20, 60)), lids(20, 60)
    lost[55:66] = np.nan
    assert act.blink_figures(driver, faces(lids(21, 59)))["f1"] == 1.0
    assert act.blink_figures(driver, faces(lids()))["f1"] == 0.0
    assert act.blink_figures(driver, faces(lost)) == {"driver": 2, "output": 1, "both": 1, "f1": pytest.approx(0.667)}
    assert act.lid_correlation(driver, faces(lids(20, 60))) == 1.0
    assert act.lid_correlation(driver, faces(lids())) == 0.0
    assert act.lid_correlation(faces(lids()), driver) is None


def test_series_keep_their_gaps() -> None:
    line = lids(20)
    line[3] = np.nan
    found = act.series(faces(line, jaw=0.25))
    assert np.isnan(found["jawOpen"][3])
    assert found["jawOpen"][4] == pytest.approx(0.25)
    drawn = act.traces(faces(line), faces(lids()))
    assert drawn["driver"]["lids"][3] is None
    assert drawn["driver"]["lids"][20] == pytest.approx(0.8)
    assert (drawn["driver"]["blinks"], drawn["output"]["blinks"]) == ([20], [])
    assert act.series([])["lids"].shape == (0,)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_half_as_wide_a_mouth_has_half_the_gain(strength: float) -> None:
    output = speaking(0.02 + strength * WORDS)
    output[3] = output[17] = None  # frames without a face count for neither
    found = act.mouth_figures(speaking(WORDS), output)
    assert found["r"] == pytest.approx(1.0, abs=1e-3)
    assert found["gain"] == pytest.approx(strength, abs=1e-3)


def test_a_mouth_that_never_follows_is_no_missing_figure() -> None:
    assert act.mouth_figures(speaking(WORDS), speaking(np.full(40, 0.1)))["r"] == 0.0
    quiet = 0.1 + 0.5 * act.OPENS * np.sin(np.arange(40.0))
    assert act.mouth_figures(speaking(quiet), speaking(WORDS))["r"] is None
    assert act.mouth_figures([None], [None])["gain"] is None


def test_an_opening_is_measured_in_eyes() -> None:
    closed, wide = act.opening(a_mesh_face()), act.opening(a_mesh_face(a_shape(jaw_cm=2.0)))
    assert closed < 0.03
    assert wide == pytest.approx(2.0 / 9.0, rel=0.2)
    assert act.opening(a_mesh_face(a_shape(jaw_cm=2.0), px_per_cm=3.0)) == pytest.approx(wide, rel=1e-3)
    assert np.isnan(act.opening(None))
