from fakes import FakeClock

from realtime.laps import Laps


def test_each_lap_is_the_time_since_the_last_and_stages_add_up() -> None:
    clock = FakeClock(10)
    laps = Laps(clock)
    assert laps.started == 10
    laps.lap("align")
    clock.now += 500
    laps.lap("swap")
    laps.lap("align")
    assert laps.spans == {"align": 20, "swap": 510}
    assert laps.started == 540
