"""Quality runs side by side."""

from benchmarks.quality_table import only, quality_table


def goal(what: str, value: float | None, met: bool | None) -> dict[str, object]:
    return {"what": what, "limit": "≥ 0.5", "value": value, "met": met}


def test_goals_line_up_and_what_is_missed_is_bold() -> None:
    first = {"goals": [goal("r", 0.91234, True), goal("iou", None, None)]}
    second = {"goals": [goal("iou", 0.4, False), goal("r", 0.7, True)]}
    table = quality_table([("old", first), ("new", second)]).splitlines()
    assert table[0] == "| goal | limit | old | new |"
    assert table[1] == "|---|---|---|---|"
    assert table[2] == "| r | ≥ 0.5 | 0.912 | 0.7 |"
    assert table[3] == "| iou | ≥ 0.5 | – | **0.4** |"
    assert len(table) == 4


def test_a_pattern_keeps_the_clips_of_one_kind() -> None:
    def clip(name: str, share: float) -> dict[str, object]:
        both = {"driver": 1, "output": 1, "both": 1}
        return {"clip": name, "coverage": {"share": share, "visible": 10}, "blinks": {**both, "f1": 1.0}}

    run = {"clips": [clip("a.mp4", 1.0), clip("plain_0.npz", 0.5), clip("clip_0.npz", 0.0)], "goals": []}
    for pattern, names, share in (("*.mp4", ["a.mp4"], 1.0), ("plain_*", ["plain_0.npz"], 0.5)):
        kept = only(run, pattern)
        assert [c["clip"] for c in kept["clips"]] == names
        assert next(g["value"] for g in kept["goals"] if g["what"] == "frames with a face replaced") == share
    assert len(only(run, "*")["clips"]) == 3
