"""Quality runs side by side."""

from benchmarks.quality_table import quality_table


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
