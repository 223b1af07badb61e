"""`bench quality` for a picture that speaks: a stand-in for a network whose mouth opens where the sound is loud."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from mesh_faces import a_face, a_shape, head
from sounds import noise, write_sound
from speaking import a_speaking_bundle
from test_latency import a_run
from test_lip_sync_network import lip_bundle

from benchmarks.goals import LIP_GOALS
from benchmarks.latency import _added, configure
from benchmarks.latency_text import told as latency_told
from benchmarks.lip_drive import RATE_HZ, REST_S, SHORT_REST_S, Voiced, voice_of
from benchmarks.lip_quality import resting
from benchmarks.lip_shape import lips, mouth_error
from benchmarks.quality import quality
from realtime.audio.source import SPEECH_HZ
from realtime.errors import ConfigError
from realtime.models.library import built_in_folder

CLIP = built_in_folder() / "clips" / "driving.mp4"


def test_lips_are_compared_in_the_face_s_own_frame() -> None:
    rng = np.random.default_rng(0)
    jaws = rng.uniform(0.0, 2.0, 20)
    true = np.stack([lips(head(), a_face(a_shape(jaw_cm=float(jaw)))) for jaw in jaws])
    elsewhere = [
        a_face(a_shape(jaw_cm=float(jaw)), turn_deg=(3.0, float(turn), 5.0), at=(90.0, 120.0), px_per_cm=5.0)
        for jaw, turn in zip(jaws, rng.uniform(-8, 8, 20), strict=True)
    ]
    speaks = np.ones(20)
    same = mouth_error(true, np.stack([lips(head(), face) for face in elsewhere]), speaks)
    assert same["nme"] < 0.1
    shut = np.stack([lips(head(), a_face()) for _ in jaws])
    still = mouth_error(true, shut, speaks)
    assert still["of_rest"] == pytest.approx(1.0, abs=1e-3)  # what never moves is as wrong as what never moves
    assert still["nme"] > still["nme_without_constant"] > 1.0
    against = mouth_error(
        true, np.stack([lips(head(), a_face(a_shape(jaw_cm=2.0 - float(jaw)))) for jaw in jaws]), speaks
    )
    assert against["of_rest"] == pytest.approx(2.0, abs=0.01)
    assert "missing" in mouth_error(true, np.full_like(true, np.nan), speaks)
    assert np.isnan(lips(head(), None)).all()


def test_a_mouth_that_trembles_in_silence_is_told() -> None:
    voiced = Voiced(np.zeros(round((4.0 + 2 * REST_S) * SPEECH_HZ), np.float32), 4.0, REST_S)
    rng = np.random.default_rng(0)
    speech = voiced.part("speech").astype(bool)
    mouth = np.where(speech, rng.uniform(0, 0.3, len(speech)), 0.02)
    assert resting(mouth, speech, voiced) == {"speech": pytest.approx(0.087, abs=0.01), "silence": 0.0, "noise": 0.0}
    mouth[voiced.part("noise").astype(bool)] += rng.uniform(0, 0.15, int(voiced.part("noise").sum()))
    told = resting(mouth, speech, voiced)
    assert told["silence"] == 0.0
    assert told["noise"] == pytest.approx(0.5, abs=0.08)
    assert "missing" in resting(np.full(len(speech), 0.02), speech, voiced)
    assert "missing" in resting(np.where(speech, np.nan, 0.02), speech, voiced)


def test_a_clip_s_voice_is_followed_by_silence_and_noise(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", [noise(2.0, 44_100, 0.1)], 44_100)
    voiced = voice_of(path)
    assert voiced.speech_s == pytest.approx(2.0, abs=0.01)
    assert len(voiced.times()) == round((2.0 + 2 * REST_S) * RATE_HZ)
    silence = voiced.samples[round(2.1 * SPEECH_HZ) : round((2.0 + REST_S) * SPEECH_HZ) - 1]
    assert not silence.any()
    fan = voiced.samples[-SPEECH_HZ:]
    assert 0.005 < fan.std() < 0.03  # a tenth of the speech
    short = voice_of(path, 0.5, SHORT_REST_S)
    assert [int(short.part(name).sum()) for name in ("speech", "silence", "noise")] == pytest.approx(
        [13, 17, 17], abs=1
    )
    assert (short.speech_s, len(short.samples)) == (0.5, round((0.5 + 2 * SHORT_REST_S) * SPEECH_HZ))
    np.testing.assert_array_equal(short.samples[:8000], voiced.samples[:8000])


def test_the_command_has_a_picture_speak_and_judges_it(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    eve = a_speaking_bundle(tmp_path / "eve").folder
    report, chart = tmp_path / "lips.json", tmp_path / "lips.svg"
    done = CliRunner().invoke(
        quality,
        [str(CLIP), "--model", str(eve), "--avatar", "mira", "--quick", "--frames", "48", "--size", "480x270",
         "--set", "idle=false", "--provider", "cpu", "--reader", "own", "--json", str(report),
         "--sheet", str(tmp_path / "sheet.png"), "--chart", str(chart)],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["family"], written["avatars"]) == ("lip-sync", ["mira"])
    assert [line["what"] for line in written["goals"]] == [goal.what for goal in LIP_GOALS]
    mira, own = written["clips"]
    assert (mira["avatar"], own["avatar"]) == ("mira", "own picture")
    for clip in (mira, own):
        assert clip["real"]["correlation"] > 0.4  # the clip's own mouth, which speaks
        assert len(clip["traces"]["output"]) == clip["frames"] == round((1.92 + 2 * SHORT_REST_S) * RATE_HZ)
    # A black hole for a mouth is read on one of the two faces only; on both it rests.
    assert max(own["rest"]["silence"], own["rest"]["noise"]) <= 0.1
    assert "missing" in mira["shape"]
    assert own["shape"]["frames"] >= 10
    assert "clapper" not in written
    assert "lip offset" in chart.read_text(encoding="utf-8")
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_a_clip_without_a_sound_is_refused_in_one_line(tmp_path: Path) -> None:
    silent = Path(__file__).resolve().parents[1] / "data" / "rendered_head.mp4"
    with av.open(str(silent)) as container:
        assert not container.streams.audio
    eve = lip_bundle(tmp_path / "eve").folder
    with pytest.raises(ConfigError, match="no sound"):
        CliRunner().invoke(quality, [str(silent), "--model", str(eve), "--quick"], catch_exceptions=False)


def test_latency_of_a_picture_that_speaks_says_what_its_delay_adds(tmp_path: Path) -> None:
    eve = str(lip_bundle(tmp_path / "eve").folder)
    config = configure(None, 600, (), {"model": eve, "pace": "live"})
    assert (config.avatar, config.fps) == ("mira", 25.0)
    assert config.sound is not None
    assert "source" not in config.model_fields_set
    with pytest.raises(ConfigError, match="no source"):
        configure("0", 600, (), {"model": eve, "pace": "live"})
    with pytest.raises(ConfigError, match="real time"):
        configure(None, 600, (), {"model": eve, "pace": "all"})
    told = _added({"delay_s": 0.2725}, {"latency_ms": {"p50": 10.0, "p95": 20.25, "max": None}})
    assert told["added_delay_ms"] == {"p50": 282.5, "p95": 292.8, "max": None}
    run = a_run(sound={**told, "late": 2}, providers={"detect": "none", "swap": "CPU"})
    lines = "\n".join(latency_told({**run, "precision": {"detect": "fp32", "swap": "fp32"}}))
    assert "p95 292.8 ms (272 of them" in lines
    assert "2 pictures late" in lines
    assert "nobody's face was looked for" in lines
