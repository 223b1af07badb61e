from fakes import FakeClock

from realtime.clock import StageTimer


def test_each_lap_is_the_time_since_the_last_and_stages_add_up() -> None:
    clock = FakeClock(10)
    timer = StageTimer(clock)
    assert timer.started == 10
    timer.lap("align")
    clock.now += 500
    timer.lap("swap")
    timer.lap("align")
    assert timer.spans == {"align": 20, "swap": 510}
    assert timer.started == 540
