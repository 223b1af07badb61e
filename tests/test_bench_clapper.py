"""The clapper: it clicks and flashes when it says, and what is found of it is what is so."""

from pathlib import Path

import numpy as np
import pytest
from fakes import pixels
from sounds import NS
from speaking import a_cast

from benchmarks.clap_figures import offsets, pairs
from benchmarks.clap_parts import (
    EVERY_S,
    FIRST_S,
    ClickGate,
    ClickingMicrophone,
    FlashingSource,
    ListeningCable,
    WatchingSink,
    corner,
    is_bright,
    onsets,
)
from benchmarks.clapper import clap, configure, faults, told
from realtime.capture import Source
from realtime.frame import Frame, Pixels
from realtime.sound import HEARD_HZ
from realtime.sound.mel import mel_frames
from realtime.sound.resample import Resampler


class Clock:
    def __init__(self) -> None:
        self.now = 50 * NS

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += max(round(seconds * NS), 0)
        return False


def listened(seconds: float, ppm: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    clock = Clock()
    microphone = ClickingMicrophone(clock, ppm=ppm, wait=clock.wait)
    heard = []
    while clock.now < 50 * NS + seconds * NS:
        samples = microphone.read(0.1)
        if samples is not None:
            heard.append(samples)
        clock.now += NS // 1000
    microphone.close()
    return np.concatenate(heard)


def test_the_microphone_clicks_on_time_whatever_its_crystal() -> None:
    true = [FIRST_S, FIRST_S + EVERY_S]
    for ppm in (0.0, 20_000.0):
        found = [at / HEARD_HZ / (1 + ppm * 1e-6) for at in onsets(listened(6.0, ppm))]
        assert found == pytest.approx(true, abs=0.002)


def test_it_is_known_when_it_clicked() -> None:
    clock = Clock()
    microphone = ClickingMicrophone(clock)
    since = [microphone.since_click(clock.now + round(at * NS)) for at in (0.0, FIRST_S + 0.1, FIRST_S + EVERY_S + 0.2)]
    microphone.close()
    assert since == pytest.approx([-FIRST_S, 0.1, 0.2], abs=1e-6)


def test_only_clicks_pass_the_gate() -> None:
    heard = listened(6.0, 0.0)
    told_ = ClickGate()(heard, mel_frames(Resampler(48_000, 16_000)(heard)))
    marked = np.flatnonzero(told_) * 0.0125
    assert len(marked) <= 12
    assert all(min(abs(at - FIRST_S), abs(at - FIRST_S - EVERY_S)) < 0.05 for at in marked)


class Still:
    """A camera with a picture each 40 ms."""

    name, size, rate_hz, live, state = "still", (96, 60), 25.0, True, "ok"

    def __init__(self) -> None:
        self.count = 0

    def read(self) -> Frame | None:
        self.count += 1
        return Frame(pixels(90, self.size), self.count, self.count * NS // 25)

    def unblock(self) -> None: ...

    def close(self) -> None: ...


def test_a_picture_flashes_where_a_click_falls_into_it() -> None:
    clock = Clock()
    clock.now = 0
    microphone = ClickingMicrophone(clock)
    camera: Source = Still()
    source = FlashingSource(camera, microphone.clicks_within)
    seen = [frame for _ in range(200) if (frame := source.read()) is not None]
    microphone.close()
    bright = [frame.captured_ns / NS for frame in seen if is_bright(frame.pixels)]
    assert len(bright) == 3
    for at, flash in zip((FIRST_S, FIRST_S + EVERY_S, FIRST_S + 2 * EVERY_S), bright, strict=True):
        assert 0 <= flash - at <= 0.040001  # no camera sees what is to come
    assert source.live
    assert (seen[0].pixels[:20] == 90).all()


def shown(bright: bool) -> Pixels:
    picture = pixels(100, (96, 60))
    picture = picture.copy()
    corner(picture)[:] = 255 if bright else 0
    return picture


def test_eyes_and_ears_note_the_first_of_each() -> None:
    clock = Clock()
    sink, cable = WatchingSink(clock), ListeningCable(clock)
    start = clock.now
    for i in range(100):
        clock.now = start + i * NS // 25
        sink.show(Frame(shown(i in (50, 51, 90)), i, clock.now))
    assert [(at - start) / NS for at, _ in sink.seen] == [2.0, 3.6]
    assert [(at - before) / NS for at, before in sink.seen] == pytest.approx([0.04, 0.04])
    clock.now = start
    piece = np.zeros(480, np.float32)
    assert cable.write(piece[:0])
    for i in range(1, 100):
        clock.now = start + i * NS // 100
        sound = piece.copy()
        sound[100:] = 0.8 if i == 50 else 0.0
        assert cable.write(sound)
    # Written at 0.5 s, it waits for what the first piece waited for.
    assert [(at - start) / NS for at in cable.clicks] == pytest.approx([0.5 + cable.HOLDS_S + 100 / HEARD_HZ], abs=1e-6)
    assert cable.ran_dry == 0
    assert cable.write(np.zeros(HEARD_HZ // 20, np.float32))
    assert not cable.write(piece)  # full
    assert cable.latency_s == pytest.approx(cable.HOLDS_S + 0.06, abs=1e-6)
    clock.now += NS
    assert cable.write(piece)
    assert cable.ran_dry == 1


def test_a_click_belongs_to_the_flash_that_is_near() -> None:
    flashes = [(1.0, 0.96), (3.0, 2.96), (5.0, 4.88), (7.0, 6.96)]
    found = pairs(flashes, [1.03, 3.01, 5.02])
    assert [(at, round(least, 3)) for at, least, _ in found] == [(1.0, 0.03), (3.0, 0.01), (5.0, 0.02)]
    assert [round(most - least, 3) for _, least, most in found] == [0.0, 0.0, 0.06]  # a picture was lost there
    assert pairs(flashes, []) == []


def test_a_drift_is_seen_through_the_phase_of_the_pictures() -> None:
    rng = np.random.default_rng(0)
    when = np.arange(300) * EVERY_S
    steady = [(float(at), float(late), float(late)) for at, late in zip(when, rng.uniform(0, 0.04, 300), strict=True)]
    figures = offsets(steady)
    assert figures["within"] == 1.0
    assert figures["median_ms"] == pytest.approx(20, abs=4)
    assert abs(figures["drift_ms"]) < 6
    assert faults({"recording": figures, "call": figures}) == []
    drifting = [(at, late + 0.05 * at / when[-1], most + 0.05 * at / when[-1]) for at, late, most in steady]
    figures = offsets(drifting)
    assert figures["drift_ms"] == pytest.approx(50, abs=6)
    assert figures["within"] < 0.8
    wrong = faults({"recording": figures, "call": {"missing": "nothing was heard"}})
    assert any("drifts by" in line for line in wrong)
    assert any("end" in line for line in wrong)
    assert "call: nothing was heard" in wrong


def test_a_whole_run_claps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    eve = a_cast(tmp_path / "eve")
    found = clap(configure(str(eve), "pia", 4.0, "160x160", "cpu"))
    assert found["family"] == "lip-sync"
    assert found["sound"]["state"] == "ok"
    assert len(told(found)) == 3
    for way in ("recording", "call"):
        assert 1 <= found["clicks"][way] <= 3
        assert found[way]["claps"] <= found["clicks"][way]
    assert len(found["after_click_ms"]["sound"]) == found["clicks"]["call"]


def test_a_camera_s_clapper_is_filmed(tmp_path: Path) -> None:
    config = configure("ada", None, 1.0, "160x90", "cpu")
    assert config.source.endswith("driving.mp4")
    assert config.loop
