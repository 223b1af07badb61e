"""Ranges: what each rule keeps of the values seen."""

import numpy as np
import pytest
from bundles import one_line
from small_networks import faces, picture_network

from export.int8_judge import runner
from export.int8_ranges import RULES, Spread, spreads


def spread_of(*parts: np.ndarray) -> Spread:
    spread = Spread()
    for part in parts:
        spread.reach(part)
    for part in parts:
        spread.count(part)
    return spread


def test_all_values_or_a_share_of_them() -> None:
    rng = np.random.default_rng(1)
    spread = spread_of(rng.normal(0, 1, 50_000).astype(np.float32), np.array([300, -40], np.float32))
    assert spread.range("largest", symmetric=False) == (-40, 300)
    assert spread.range("largest", symmetric=True) == (-300, 300)
    low, high = spread.range("99%", symmetric=False)
    assert low == pytest.approx(-2.58, abs=0.4)
    assert high == pytest.approx(2.58, abs=0.4)
    widths = [np.ptp(spread.range(rule, symmetric=False)) for rule in ("99%", "99.9%", "99.99%", "largest")]
    assert widths == sorted(widths)


def test_the_least_error_is_least_of_all_rules() -> None:
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(0, 1, 100_000), rng.normal(0, 12, 30)]).astype(np.float32)
    spread = spread_of(values)

    def error(low: float, high: float) -> float:
        step = (high - low) / 255
        rounded = np.clip(np.rint(values / step), np.rint(low / step), np.rint(high / step)) * step
        return float(np.square(values - rounded).mean())

    errors = {rule: error(*spread.range(rule, symmetric=False)) for rule in RULES}
    assert errors["least error"] <= 1.1 * min(errors.values())
    assert errors["largest"] > 1.15 * errors["least error"]


def test_zero_is_always_inside_and_nothing_seen_is_no_range() -> None:
    assert all(spread_of(np.array([3, 4], np.float32)).range(rule, symmetric=False)[0] == 0 for rule in RULES)
    assert all(spread_of(np.zeros(4, np.float32)).range(rule, symmetric=True) == (0, 0) for rule in RULES)


def test_spreads_are_those_of_the_tensors() -> None:
    feeds = faces(3, 5)
    model = picture_network()
    found = spreads(model, ["face", "first.relu", "drawn"], feeds)
    drawn = np.concatenate([runner(model)(feed)["drawn"].ravel() for feed in feeds])
    assert found["drawn"].high == pytest.approx(drawn.max())
    assert found["drawn"].counts.sum() == drawn.size
    assert found["face"].high == max(float(feed["face"].max()) for feed in feeds)
    assert found["first.relu"].low == 0
    broken = [{"face": np.full((1, 3, 24, 24), np.nan, np.float32)}]
    assert "'face' takes values that are no numbers" in one_line(lambda: spreads(model, ["face"], broken))
