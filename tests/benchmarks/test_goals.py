"""Goals against figures: met, missed, and not measured."""

from typing import Any

from benchmarks.goals import GOALS, judge, judge_all, table

SWAP = GOALS["swap"]
WHAT = {goal.path: goal.what for goal in SWAP}


def figures(name: str = "clip", **changed: Any) -> dict[str, Any]:
    """A clip that keeps everything."""
    clip: dict[str, Any] = {
        "clip": name,
        "coverage": {"share": 1.0, "visible": 100},
        "expression": {"mean_r": 0.9, "jaw_r": 0.95, "mean_gain": 1.0, "lowest_gain": 0.9, "highest_gain": 1.1},
        "mouth": {"r": 0.95, "gain": 1.0},
        "blinks": {"driver": 4, "output": 4, "both": 4, "f1": 1.0},
        "pose_deg": {"mean": 1.0},
        "landmarks": {"nme": 2.0},
        "identity": {"top1": {"worn": 1.0, "driver": 0.0}, "frames": 20},
        "mask": {"iou": 0.95},
        "looks": {
            "sharpness": 1.0,
            "energy": {"skin": 1.0, "eyes": 1.0, "mouth": 1.0, "brows": 1.0},
            "face_de": 3.0,
            "seam_de": 5.0,
        },
        "flicker": {"ratio": 1.0},
        "frozen": {"ratio": 0.5},
        "outside": {"beyond_mask_max": 0},
    }
    clip |= changed
    clip["goals"] = judge(clip, "swap")
    return clip


def overall(*clips: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {line["what"]: line for line in judge_all(clips, "swap")}


def test_each_goal_is_missed_by_a_value_beyond_its_bounds() -> None:
    assert [line["what"] for line in figures()["goals"] if line["met"] is not True] == []
    for goal in SWAP:
        kept, beyond = (goal.least, goal.least - 0.01) if goal.most is None else (goal.most, goal.most + 0.01)
        assert [goal.line(value, None)["met"] for value in (kept, beyond)] == [True, False]
    assert [goal.limit for goal in SWAP][:4] == ["≥ 0.99", "≥ 0.85", "≥ 0.92", "0.8–1.2"]


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    clip = figures(mask={"missing": "no truth"}, blinks={"driver": 0, "output": 0, "both": 0, "f1": None})
    lines = {line["what"]: line for line in clip["goals"]}
    mask, lids = lines[WHAT["mask", "iou"]], lines[WHAT["blinks", "f1"]]
    assert (mask["value"], mask["met"], mask["why"]) == (None, None, "no truth")
    assert lids["met"] is None
    assert "driver" in lids["why"]


def test_clips_are_judged_together() -> None:
    expression = {"mean_r": 0.7, "jaw_r": None, "mean_gain": 1.0, "lowest_gain": 0.5, "highest_gain": 1.1}
    together = overall(
        figures("a", expression=expression),
        figures("b", blinks={"driver": 1, "output": 0, "both": 0, "f1": 0.0}, mask={"missing": "none"}),
        figures("c", outside={"beyond_mask_max": 3}),
    )
    assert together[WHAT["expression", "mean_r"]]["value"] == 0.8333
    assert together[WHAT["expression", "jaw_r"]]["clips"] == 2
    assert together[WHAT["expression", "lowest_gain"]]["value"] == 0.5
    # Eight of nine blinks, not the mean of 1, 0 and 1.
    assert together[WHAT["blinks", "f1"]]["value"] == 0.941
    assert together[WHAT["outside", "beyond_mask_max"]]["value"] == 3.0
    mask = {"what": WHAT["mask", "iou"], "limit": "≥ 0.93", "value": 0.95, "met": True, "clips": 2}
    assert together[WHAT["mask", "iou"]] == mask


def test_shares_of_frames_are_shares_of_all_frames() -> None:
    long = figures("long", identity={"top1": {"worn": 0.86, "driver": 0.0}, "frames": 60})
    worn = overall(figures("a"), figures("b"), long)[WHAT["identity", "top1", "worn"]]
    # 20 and 20 of 20, and 52 of 60: under 95 %, though the clips' mean is over it.
    assert (worn["value"], worn["met"]) == (0.916, False)


def test_the_table_says_met_missed_and_why_not() -> None:
    clips = [figures("a", mask={"missing": "no truth"}), figures("b", pose_deg={"mean": 9.0}, mask={"missing": "no"})]
    lines: list[str] = []
    table(clips, judge_all(clips, "swap"), lines.append)
    by_goal = {goal.path: line for goal, line in zip(SWAP, lines[1:], strict=True)}
    assert by_goal["pose_deg", "mean"].endswith("MISSED")
    assert by_goal["blinks", "f1"].endswith(" met")
    assert by_goal["mask", "iou"].endswith("not measured: no truth")


def test_each_kind_of_report_has_goals_of_its_own() -> None:
    moved = {"coverage": {"faceless": 0.01}, "distortion": {"missing": "no face"}}
    moved["pose_deg"] = {"mean_without_constant": 2}
    found = {line["what"]: line["met"] for line in judge(moved, "motion")}
    assert found["driven frames without a face"] is False
    assert found["driven frames with a distorted face"] is None
    assert found["pose error about the neutral, degrees"] is True
