"""What counts as the same numbers, and that nothing else does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from bundles import one_line

from export.parity import EQUAL_DB, LIMITS, Kind, Parity, Precision, compare
from realtime.errors import ModelError
from realtime.inference.session import Array

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
KINDS: tuple[Kind, ...] = ("picture", "face", "mask", "points", "numbers")


@dataclass
class Adds:
    """Gives its input as the output `out`, with something added."""

    more: object = 0.0

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        return {"out": np.asarray(feed["x"] + np.asarray(self.more, np.float32), np.float32)}


def ramp(peak: float = 1.0) -> dict[str, Array]:
    return {"x": np.linspace(0, peak, 8, dtype=np.float32).reshape(1, 1, 2, 4)}


def between(more: object, kind: Kind = "picture", peak: float = 1.0) -> Parity:
    return compare(Adds(), Adds(more), [ramp(peak), ramp(peak)], {"out": kind})


def test_equal_is_equal() -> None:
    found = between(0.0)
    (difference,) = found.differences
    assert (difference.worst, difference.mean, difference.relative) == (0, 0, 0)
    assert difference.psnr_db == EQUAL_DB
    assert found.samples == 2
    for precision in PRECISIONS:
        found.check(precision, "it")


def test_the_figures_are_those_of_the_definitions() -> None:
    off = np.zeros((1, 1, 2, 4))
    off[0, 0, 0, 0] = 0.4  # one of eight numbers
    (difference,) = between(off, peak=2.0).differences
    assert difference.worst == pytest.approx(0.4)
    assert difference.mean == pytest.approx(0.05)
    assert difference.relative == pytest.approx(0.2)
    assert difference.psnr_db == pytest.approx(10 * np.log10(1 / (0.16 / 8)))
    assert between(off, "points").differences[0].psnr_db is None


@pytest.mark.parametrize(
    ("precision", "kind", "good", "bad"),
    [
        ("fp32", "picture", 0.9e-4, 1.1e-4),
        ("fp32", "points", 0.9e-5, 1.1e-5),
        ("fp32", "numbers", 0.9e-3, 1.1e-3),  # of a peak of 10
        ("fp16", "picture", 0.005, 0.006),  # 45 dB is 0.0056
        ("fp16", "points", 1.9e-3, 2.1e-3),
        ("fp16", "numbers", 0.19, 0.21),
        ("fp16", "mask", 0.005, 0.006),
        ("int8", "picture", 0.0099, 0.0101),  # 40 dB is 0.01
        ("int8", "face", 0.0062, 0.0064),  # 44 dB is 0.0063
        ("int8", "mask", 0.025, 0.0252),  # 32 dB is 0.0251
        ("int8", "points", 0.0079, 0.0081),
        ("int8", "numbers", 0.99, 1.01),
    ],
)
def test_each_precision_has_its_limits(precision: Precision, kind: Kind, good: float, bad: float) -> None:
    peak = 10.0 if kind == "numbers" else 1.0
    near, far = between(good, kind, peak), between(bad, kind, peak)
    assert near.strain(precision) <= 1 < far.strain(precision)
    near.check(precision, "it")
    line = one_line(lambda: far.check(precision, "swap.onnx"))
    assert "swap.onnx: out is" in line
    assert precision in line


def test_a_picture_counts_as_much_as_its_mask_shows_it() -> None:
    class Masked(Adds):
        def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
            return {**super().run(feed), "mask": feed["mask"]}

    off = np.zeros((1, 1, 2, 4), np.float32)
    off[0, 0, 0, 0] = 0.4
    hidden, half, none = np.ones((1, 1, 2, 4), np.float32), np.ones((1, 1, 2, 4), np.float32), np.zeros((1, 1, 2, 4))
    hidden[0, 0, 0, 0], half[0, 0, 0, 1:] = 0, 0
    for mask, squared in ((hidden, 0.0), (half, 0.16 / 5), (none, 0.16 / 8)):
        feed = {**ramp(), "mask": np.asarray(mask, np.float32)}
        found = compare(Masked(), Masked(off), [feed], {"out": "face"}, {"out": "mask"})
        assert found.differences[0].psnr_db == pytest.approx(min(EQUAL_DB, -10 * np.log10(max(squared, 1e-30))), 1e-4)


def test_every_precision_limits_every_kind() -> None:
    assert set(LIMITS) == set(PRECISIONS)
    for limits in LIMITS.values():
        assert set(limits) == set(KINDS)
        for limit in limits.values():
            assert (limit.worst, limit.relative, limit.psnr_db) != (None, None, None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_number_never_passes(value: float, precision: Precision, kind: Kind) -> None:
    off = np.zeros((1, 1, 2, 4))
    off[0, 0, 1, 2] = value
    both = compare(Adds(off), Adds(off), [ramp()], {"out": kind})  # wrong on both sides is wrong too
    for found in (between(off, kind), compare(Adds(off), Adds(), [ramp()], {"out": kind}), both):
        assert found.strain(precision) == np.inf
        assert "no numbers" in one_line(lambda found=found: found.check(precision, "it"))  # type: ignore[misc]


def test_one_bad_sample_among_good_ones_counts() -> None:
    broken = {"x": np.full((1, 1, 2, 4), np.nan, np.float32)}
    assert compare(Adds(), Adds(), [ramp(), broken, ramp()], {"out": "picture"}).strain("int8") > 1


def test_a_reference_of_zeros_has_no_scale() -> None:
    zeros = {"x": np.zeros((1, 4), np.float32)}
    assert compare(Adds(), Adds(), [zeros], {"out": "numbers"}).strain("fp32") <= 1
    assert compare(Adds(), Adds(1e-9), [zeros], {"out": "numbers"}).strain("int8") > 1


def test_what_cannot_be_compared_says_so() -> None:
    assert "gives no 'mask', but out" in one_line(lambda: compare(Adds(), Adds(), [ramp()], {"mask": "picture"}))
    assert "no sample" in one_line(lambda: compare(Adds(), Adds(), [], {"out": "picture"}))

    class Cut(Adds):
        def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
            return {"out": super().run(feed)["out"][..., :1]}

    with pytest.raises(ModelError, match="on one side"):
        compare(Adds(), Cut(), [ramp()], {"out": "picture"})


def test_the_worst_is_measured_by_its_own_scale_and_goes_into_a_file() -> None:
    class Two:
        def __init__(self, off: float) -> None:
            self.off = off

        def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
            one = np.ones(3, np.float32)
            return {"features": one * np.float32(1000 + self.off), "picture": one + np.float32(self.off / 10)}

    found = compare(Two(0), Two(0.5), [{}], {"features": "numbers", "picture": "picture"})
    assert found.worst.output == "picture"
    facts = json.loads(json.dumps(found.facts(), allow_nan=False))
    assert [fact["output"] for fact in facts] == ["features", "picture"]
    assert facts[1]["worst"] == pytest.approx(0.05)
