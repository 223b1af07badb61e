"""A voice moves a figure's mouth: which shape for which sound, how far with the loudness, never in silence."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from fakes import a_face
from figures import COLOURS, ScriptedBodies, a_body, a_layered_figure, as_avatar
from lip_parts import QUIET, Says, a_frame, timer
from sounds import NS, filled, noise

from realtime.audio.mel import SILENCE, WINDOW
from realtime.audio.speech_buffer import MelWindow
from realtime.audio.vad import Vad, open_vad
from realtime.config import Settings
from realtime.families.figure.effect import FigureEffect, open_figures
from realtime.families.figure.expression import MOUTHS, Expression, choose_mouth
from realtime.families.figure.voice import VoiceMouth
from realtime.frame import Floats, Pixels
from realtime.models.library import load_bundle

RATE_HZ = 16_000
FPS = 25

FORMANTS_HZ = {
    "man": {"ah": (730, 1090, 2440), "eh": (530, 1840, 2480), "ee": (270, 2290, 3010), "oh": (570, 840, 2410),
            "oo": (300, 870, 2240), "m": (250, 1000, 2200)},
    "woman": {"ah": (850, 1220, 2810), "eh": (610, 2330, 2990), "ee": (310, 2790, 3310), "oh": (590, 920, 2710),
              "oo": (370, 950, 2670), "m": (270, 1100, 2500)},
}  # fmt: skip
"""Of vowels: Peterson and Barney (1952)."""
PITCH_HZ = {"man": 120, "woman": 210}


@cache
def sound(who: str, name: str, seconds: float = 0.4) -> Floats:
    """A vowel of resonators on a pulse train, an `m` (lips closed: much weaker), or an `s` of noise."""
    count = round(seconds * RATE_HZ)
    if name == "s":
        hiss = np.diff(np.diff(noise(seconds, RATE_HZ, 0.01)))
        return np.append(hiss, [0, 0]).astype(np.float32)
    out = np.zeros(count)
    out[:: RATE_HZ // PITCH_HZ[who]] = 1.0
    for hertz, width in zip((*FORMANTS_HZ[who][name], 3500), (70, 90, 150, 220), strict=True):
        radius = np.exp(-np.pi * width / RATE_HZ)
        a, b = 2 * radius * np.cos(2 * np.pi * hertz / RATE_HZ), -(radius**2)
        y1 = y2 = 0.0
        gain = 1 - a - b
        for i in range(count):
            y1, y2 = gain * out[i] + a * y1 + b * y2, y1
            out[i] = y1
    level = 0.012 if name == "m" else 0.15
    return (out * level / np.sqrt((out**2).mean())).astype(np.float32)


def an_ah() -> MelWindow:
    return filled(np.tile(sound("man", "ah"), 2), RATE_HZ).snapshot.window(NS // 5)


def soon() -> MelWindow:
    """A word is near: the window's end has it."""
    return MelWindow(np.where(np.arange(WINDOW) > 9, an_ah().mel, SILENCE), 0.0, True)


def mouths(samples: Floats, vad: Vad | None = None) -> list[Expression]:
    """The mouth of each picture of a sound."""
    heard = filled(samples, RATE_HZ, vad=vad).snapshot
    mouth = VoiceMouth()
    count = round(len(samples) / RATE_HZ * FPS)
    return [mouth(Expression(smile=0.3), heard.window(i * NS // FPS), 1 / FPS) for i in range(count)]


@pytest.mark.parametrize("who", FORMANTS_HZ)
def test_each_sound_has_its_mouth(who: str) -> None:
    """In a row of all of them: a sound is loud or quiet beside others."""
    order = ["ah", "m", "ee", "oo", "s", "eh", "oh"]
    said = mouths(np.concatenate([sound(who, name) for name in order]))
    face = dict(zip(order, said[7::10], strict=True))
    chosen = {name: choose_mouth(one, MOUTHS, None) for name, one in face.items()}
    wanted = {"ah": {"ah"}, "ee": {"ee"}, "eh": {"ah", "uh", "l"}, "oh": {"oh"}, "oo": {"w-oo"}, "s": {"s"}}
    assert all(chosen[name] in fits for name, fits in wanted.items()), chosen
    assert chosen["m"] in ("m", "neutral", "smile")
    jaw = {name: one.jaw for name, one in face.items()}
    assert jaw["ah"] > 0.7 > jaw["eh"] > 0.4 > jaw["ee"] > 0.1
    assert jaw["oh"] > jaw["oo"] + 0.2
    assert max(jaw["m"], jaw["s"]) < 0.1


def test_the_jaw_follows_the_loudness_and_the_smile_stays() -> None:
    vowel = np.tile(sound("man", "ah"), 10)
    loudness = 10 ** (-0.9 * (1 + np.cos(2 * np.pi * 1.5 * np.arange(len(vowel)) / RATE_HZ)) / 2)  # 18 dB to and fro
    said = mouths((vowel * loudness).astype(np.float32))
    level = np.log10(loudness[:: RATE_HZ // FPS])
    # From the second second on the loudest of late is known, however loud that is.
    jaws = [face.jaw for face in said[FPS:]]
    assert np.corrcoef(jaws, level[FPS:])[0, 1] > 0.9
    quieter = mouths((0.1 * vowel * loudness).astype(np.float32))
    np.testing.assert_allclose([face.jaw for face in quieter[FPS:]], jaws, atol=0.05)
    assert min(face.smile for face in said) > 0.15


def test_silence_that_is_taken_for_speech_opens_no_mouth() -> None:
    assert max(face.jaw for face in mouths(np.zeros(RATE_HZ, np.float32))) == 0.0


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(2 * RATE_HZ, np.float32),
        noise(2.0, RATE_HZ, 0.1),
        (0.2 * np.sin(2 * np.pi * 100 * np.arange(2 * RATE_HZ) / RATE_HZ)).astype(np.float32),
    ],
    ids=["silence", "noise", "hum"],
)
def test_no_mouth_opens_where_nobody_speaks(samples: Floats) -> None:
    assert {face.jaw for face in mouths(samples, open_vad())} == {0.0}


def test_a_mouth_shuts_within_a_tenth_of_a_second_and_never_jumps() -> None:
    mouth, step_s = VoiceMouth(), 0.01
    jaws = [mouth(Expression(), spoken, step_s).jaw for spoken in [soon()] * 9 + [an_ah()] * 10 + [soon()] * 10]
    assert jaws[8] == 0.0
    assert jaws[18] > 0.7
    assert jaws[-1] == 0.0
    assert np.abs(np.diff(jaws)).max() < 0.21


def has(picture: Pixels, mouth: str) -> bool:
    return bool((picture == COLOURS[mouth]).all(axis=2).any())


def last_picture(effect: FigureEffect, opened: float | None = None) -> Pixels:
    """Of some; the driver's mouth is so far open, None: there is no driver."""
    face = a_face()
    face.blendshapes[:] = 0
    face.blendshapes[25] = opened or 0.0
    for i in range(12):
        frame = a_frame(np.zeros((240, 320, 3), np.uint8), i / FPS)
        picture = effect(frame, [] if opened is None else [face], Settings(), timer())
    assert picture is not None
    return picture


def test_without_a_driver_it_speaks_and_nobody_is_searched(tmp_path: Path) -> None:
    says = Says(an_ah())
    toy = as_avatar(a_layered_figure(tmp_path / "toy"))
    effect = open_figures(load_bundle("figure"), [toy], speech=says, filmed=False)
    assert not effect.sessions
    picture = last_picture(effect)
    assert has(picture, "open")
    assert not effect.resting
    assert says.asked == [i * NS // FPS for i in range(12)]
    assert effect.motion is not None
    assert not effect.motion.whole  # from the waist up, where a mouth is seen
    says.spoken = QUIET
    assert has(last_picture(effect), "closed")
    effect.close()


def test_beside_a_driver_the_voice_has_the_mouth_while_it_speaks(tmp_path: Path) -> None:
    says = Says(QUIET)
    toy = as_avatar(a_layered_figure(tmp_path / "toy"))
    effect = FigureEffect([toy], ScriptedBodies(a_body((75, 75))), says)  # type: ignore[arg-type]
    assert has(last_picture(effect, 0.6), "open")  # nobody speaks: a yawn
    says.spoken = an_ah()
    assert has(last_picture(effect, 0.0), "open")
    # A word is near, of which the driver's mouth, ahead of the delayed voice, shows the start.
    says.spoken = soon()
    assert has(last_picture(effect, 0.6), "closed")
    assert not effect.resting
    nobody = FigureEffect([toy], ScriptedBodies(None), says)  # type: ignore[arg-type]
    last_picture(nobody)
    assert nobody.resting
    says.spoken = an_ah()
    last_picture(nobody)
    assert not nobody.resting
