"""Sound files that are wrong, through the whole program: the picture speaks on, whatever is in them."""

from pathlib import Path

import numpy as np
import pytest
from sounds import noise, tone, write_sound
from speaking import a_cast

from realtime.config import make_config
from realtime.frame import Floats
from realtime.pipeline.parts import open_parts
from realtime.pipeline.session import Session

SECONDS = 0.8


def broken(rate_hz: int) -> Floats:
    sound = noise(SECONDS, rate_hz, 0.1)
    sound[rate_hz // 4 : rate_hz // 3] = np.nan
    sound[rate_hz // 3 : rate_hz // 3 + 9] = (np.inf, -np.inf, 1e30) * 3
    return sound


FAULTS = {
    "not numbers": ([broken(48_000)], 48_000),
    "nothing but not numbers": ([np.full(round(SECONDS * 16_000), np.nan, np.float32)], 16_000),
    "clipping": ([tone(300, SECONDS, 44_100, 1.0) * 40], 44_100),
    "silence": ([np.zeros(round(SECONDS * 16_000), np.float32)], 16_000),
    "8 kHz": ([noise(SECONDS, 8_000)], 8_000),
    "192 kHz, two channels": ([noise(SECONDS, 192_000), np.zeros(round(SECONDS * 192_000), np.float32)], 192_000),
    "a constant": ([np.full(round(SECONDS * 22_050), 0.9, np.float32)], 22_050),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_picture_speaks_on(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    eve = a_cast(tmp_path / "eve")
    channels, rate_hz = FAULTS[fault]
    layout = "stereo" if len(channels) == 2 else "mono"
    voice = write_sound(tmp_path / "v.wav", channels, rate_hz, codec="pcm_f32le", form="flt", layout=layout)
    out = tmp_path / "out.mkv"
    options = {"model": str(eve), "avatar": "pia", "sound": str(voice), "output": [str(out)], "size": "160x160"}
    report = Session(open_parts(make_config({}, {**options, "pace": "all"}))).run()
    counted = report["frames"]
    assert counted["emitted"] == pytest.approx(SECONDS * 25, abs=1)
    assert (counted["processed"], counted["raw"], counted["guarded"]) == (counted["captured"], 0, 0)
    assert report["sound"]["state"] == "ok"
    assert out.stat().st_size > 0
