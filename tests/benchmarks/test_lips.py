"""Offset, rest and shape of a mouth, where they are known; and a picture that speaks."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from mesh_faces import a_face, a_shape, head
from sounds import noise, write_sound
from speaking import a_speaking_bundle

from benchmarks.goals import GOALS
from benchmarks.metrics.lips import envelope, lip_offset, lip_points, lip_shape_error, motion_at_rest
from benchmarks.quality import quality
from benchmarks.quality_lips import RATE_HZ, REST_S, SHORT_REST_S, Voice, voice_of
from realtime.audio.source import SPEECH_HZ
from realtime.errors import ConfigError
from realtime.frame import Floats
from realtime.models.library import built_in_folder

CLIP = built_in_folder() / "clips" / "driving.mp4"


def a_voice(seconds: float = 12.0) -> tuple[Floats, Floats]:
    """(its level by the envelope, how loud it is meant to be) at each picture: random syllables."""
    rng = np.random.default_rng(1)
    times, syllables = np.arange(round(seconds * RATE_HZ)) / RATE_HZ, np.arange(0, seconds + 0.3, 0.22)
    loud = np.interp(times, syllables, rng.uniform(0, 1, len(syllables)))
    at = np.arange(round(seconds * SPEECH_HZ)) / SPEECH_HZ
    buzz = np.sin(2 * np.pi * 700 * at) + 0.3 * rng.standard_normal(len(at))
    return envelope((0.1 * np.interp(at, times, loud) * buzz).astype(np.float32), times), loud


@pytest.mark.parametrize("late", [-4, 0, 1, 7])
def test_a_mouth_that_comes_late_is_told_by_how_much(late: int) -> None:
    level, loud = a_voice()
    found = lip_offset(np.roll(loud, late), level, RATE_HZ)
    assert (found["offset_frames"], found["away_frames"]) == (late, abs(late))
    assert found["offset_ms"] == pytest.approx(1000 * late / RATE_HZ, abs=12)
    assert found["correlation"] > 0.8
    assert found["confidence"] > 0.5
    assert (found["correlation_unshifted"] == found["correlation"]) == (late == 0)


def test_a_mouth_of_its_own_mind_is_told_too() -> None:
    level, loud = a_voice()
    found = lip_offset(np.random.default_rng(5).uniform(0, 1, len(loud)), level, RATE_HZ)
    assert max(found["correlation"], found["confidence"]) < 0.35
    assert "missing" in lip_offset(np.zeros(len(loud)), level, RATE_HZ)
    assert "missing" in lip_offset(np.full(len(loud), np.nan), level, RATE_HZ)
    gaps = loud.copy()
    gaps[20:40] = np.nan
    assert lip_offset(gaps, level, RATE_HZ)["offset_frames"] == 0


def test_the_envelope_hears_speech_s_band_alone_and_knows_a_floor() -> None:
    at, times = np.arange(2 * SPEECH_HZ) / SPEECH_HZ, np.arange(50) / RATE_HZ
    tone = {hz: np.sin(2 * np.pi * hz * at).astype(np.float32) for hz in (60, 700)}
    hum, vowel = envelope(tone[60], times), envelope(tone[700], times)
    assert vowel[10:40].mean() - hum[10:40].mean() > 30
    level = envelope(np.where(at < 1.0, tone[700], 0.0).astype(np.float32), times)
    assert level.max() - level.min() == pytest.approx(40.0)
    assert level[5:20].min() == pytest.approx(-3.0, abs=0.3)  # a sine's, in decibels of full scale


def test_lips_are_compared_in_the_face_s_own_frame() -> None:
    rng = np.random.default_rng(0)
    jaws, turns, speaks = rng.uniform(0.0, 2.0, 20), rng.uniform(-8, 8, 20), np.ones(20, bool)

    def lips(jaw: float, **seen: object) -> object:
        return lip_points(head(), a_face(a_shape(jaw_cm=float(jaw)), **seen))  # type: ignore[arg-type]

    true = np.stack([lips(jaw) for jaw in jaws])
    elsewhere = [
        lips(jaw, turn_deg=(3.0, float(turn), 5.0), at=(90.0, 120.0), px_per_cm=5.0)
        for jaw, turn in zip(jaws, turns, strict=True)
    ]
    assert lip_shape_error(true, np.stack(elsewhere), speaks)["nme"] < 0.1
    still = lip_shape_error(true, np.stack([lips(0.0)] * 20), speaks)
    assert still["of_rest"] == pytest.approx(1.0, abs=1e-3)  # what never moves is as wrong as what never moves
    assert still["nme"] > still["nme_without_constant"] > 1.0
    against = lip_shape_error(true, np.stack([lips(2.0 - jaw) for jaw in jaws]), speaks)
    assert against["of_rest"] == pytest.approx(2.0, abs=0.01)
    assert "missing" in lip_shape_error(true, np.full_like(true, np.nan), speaks)
    assert np.isnan(lip_points(head(), None)).all()


def test_a_mouth_that_trembles_in_silence_is_told() -> None:
    voice = Voice(np.zeros(round((4.0 + 2 * REST_S) * SPEECH_HZ), np.float32), 4.0, REST_S)
    speech, silence, fan = (voice.part(name) for name in ("speech", "silence", "noise"))
    rng = np.random.default_rng(0)
    mouth = np.where(speech, rng.uniform(0, 0.3, len(speech)), 0.02)
    found = motion_at_rest(mouth, speech, silence=silence, noise=fan)
    assert found == {"speech": pytest.approx(0.087, abs=0.01), "silence": 0.0, "noise": 0.0}
    mouth[fan] += rng.uniform(0, 0.15, int(fan.sum()))
    found = motion_at_rest(mouth, speech, silence=silence, noise=fan)
    assert (found["silence"], found["noise"]) == (0.0, pytest.approx(0.5, abs=0.08))
    for unreadable in (np.full(len(speech), 0.02), np.where(speech, np.nan, 0.02)):
        assert "missing" in motion_at_rest(unreadable, speech, silence=silence, noise=fan)


def test_a_clip_s_voice_is_followed_by_silence_and_noise(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", [noise(2.0, 44_100, 0.1)], 44_100)
    voice = voice_of(path)
    assert voice.speech_s == pytest.approx(2.0, abs=0.01)
    assert len(voice.times()) == round((2.0 + 2 * REST_S) * RATE_HZ)
    assert not voice.samples[round(2.1 * SPEECH_HZ) : round((2.0 + REST_S) * SPEECH_HZ) - 1].any()
    assert 0.005 < voice.samples[-SPEECH_HZ:].std() < 0.03  # a tenth of the speech
    short = voice_of(path, 0.5, SHORT_REST_S)
    assert [short.part(n).sum() for n in ("speech", "silence", "noise")] == pytest.approx([13, 17, 17], abs=1)
    assert (short.speech_s, len(short.samples)) == (0.5, round((0.5 + 2 * SHORT_REST_S) * SPEECH_HZ))
    np.testing.assert_array_equal(short.samples[:8000], voice.samples[:8000])


@pytest.mark.slow
def test_the_command_has_a_picture_speak_and_judges_it(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    eve = a_speaking_bundle(tmp_path / "eve").folder
    report, chart, sheet = tmp_path / "lips.json", tmp_path / "lips.svg", tmp_path / "sheet.png"
    done = CliRunner().invoke(
        quality,
        [str(CLIP), "--model", str(eve), "--avatar", "mira", "--quick", "--frames", "48", "--size", "480x270",
         "--set", "idle=false", "--provider", "cpu", "--reader", "own", "--json", str(report),
         "--sheet", str(sheet), "--chart", str(chart)],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["family"], written["avatars"]) == ("lip-sync", ["mira"])
    assert [line["what"] for line in written["goals"]] == [goal.what for goal in GOALS["lip-sync"]]
    mira, own = written["clips"]
    assert (mira["avatar"], own["avatar"]) == ("mira", "own picture")
    for clip in (mira, own):
        assert clip["real"]["correlation"] > 0.4  # the clip's own mouth, which speaks
        assert len(clip["traces"]["output"]) == clip["frames"] == round((1.92 + 2 * SHORT_REST_S) * RATE_HZ)
    # A black hole for a mouth is read on one of the two faces only; on both it rests.
    assert max(own["rest"]["silence"], own["rest"]["noise"]) <= 0.1
    assert "missing" in mira["shape"]
    assert own["shape"]["frames"] >= 10
    assert "lip offset" in chart.read_text(encoding="utf-8")
    assert sheet.stat().st_size > 10_000


def test_a_clip_without_a_sound_is_refused_in_one_line(tmp_path: Path) -> None:
    silent = Path(__file__).resolve().parents[1] / "data" / "rendered_head.mp4"
    with av.open(str(silent)) as container:
        assert not container.streams.audio
    eve = a_speaking_bundle(tmp_path / "eve").folder
    with pytest.raises(ConfigError, match="no sound"):
        CliRunner().invoke(quality, [str(silent), "--model", str(eve), "--quick"], catch_exceptions=False)
