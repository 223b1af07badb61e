"""Where pictures land in a recording."""

import numpy as np
import pytest

from realtime.frame import Frame
from realtime.output.timeline import STEP_S, Timeline

PIXELS = np.zeros((2, 2, 3), np.uint8)


def frame(seq: int, captured_s: float, media_s: float | None = None) -> Frame:
    return Frame(PIXELS, seq, round(captured_s * 1e9), media_s)


def test_all_follows_the_source_and_starts_at_zero() -> None:
    line = Timeline("all", 30)
    assert [line.place(frame(i, 9, m), 0).out_s for i, m in enumerate([2.0, 2.04, 2.5])] == pytest.approx(
        [0, 0.04, 0.5]
    )


def test_all_without_times_follows_the_rate() -> None:
    line = Timeline("all", 25)
    assert [line.place(frame(i, 9), 0) for i in range(3)] == [(0, None), (0.04, None), (0.08, None)]


def test_all_goes_on_where_the_source_begins_again() -> None:
    line = Timeline("all", 10)
    places = [line.place(frame(i, 0, m), 0) for i, m in enumerate([0.0, 0.1, 0.2, 0.0, 0.1])]
    assert [p.out_s for p in places] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [p.media_s for p in places] == [0.0, 0.1, 0.2, 0.0, 0.1]


def test_times_always_rise() -> None:
    rng = np.random.default_rng(0)
    for pace in ("live", "all"):
        line = Timeline(pace, 30)  # type: ignore[arg-type]
        last = -1.0
        for i in range(500):
            captured = float(rng.uniform(0, 5))
            media = float(rng.uniform(0, 5)) if rng.random() < 0.8 else None
            out_s = line.place(frame(i, captured, media), round((captured + rng.uniform(0, 1)) * 1e9)).out_s
            assert out_s >= last + STEP_S - 1e-9
            last = out_s


def test_live_takes_the_usual_lag_off_repeats_and_cards() -> None:
    line = Timeline("live", 30)
    assert line.place(frame(0, 1.0, 0.0), round(1.05e9)) == (0, 0.0)
    assert line.place(frame(1, 1.2), round(1.2e9)).out_s == pytest.approx(0.15)  # shown at 1.2
    after = line.place(frame(2, 1.2, 0.2), round(1.25e9))
    assert after == pytest.approx((0.2, 0.2))


def test_live_does_not_trust_a_bent_time_for_the_sound() -> None:
    line = Timeline("live", 30)
    line.place(frame(0, 1.0), round(1.0e9))  # a card while the model loads: no lag known yet
    bent = line.place(frame(1, 0.97, 5.0), round(1.03e9))
    assert bent == (pytest.approx(STEP_S), None)
    assert line.place(frame(2, 1.1, 5.13), round(1.15e9)) == pytest.approx((0.1, 5.13))
