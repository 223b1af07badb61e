"""The bundled driving clip: a man who does not exist says that a program drew him.

He smiles, frowns, raises his brows and blinks besides, so that a model driven by the clip shows what it can do. He
ends near to where he began, so that the clip loops.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from realtime.frame import Doubles
from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.develop import Camera
from trained_models.recipes.people.performance import Performance, blink, glances, hump, loudness, put, sway
from trained_models.recipes.people.person import DRIVER, calibration
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.speech import Speech, mouth_curves, speak
from trained_models.recipes.people.surroundings import Light, background
from trained_models.recipes.people.topology import topology

TEXT = "Hi! Nice to see you. Nobody ever had this face: a program drew it, bit by bit. Oh really? Yes, really!"
FPS = 25
SIZE = (960, 540)
SILENCE_BEFORE_S, SILENCE_AFTER_S = 0.45, 0.7
JAW = 1.35  # a lively speaker
PLANNED_S = 9.5  # the length for which the times below were chosen
LIGHT, ROOM, MOVEMENT = 12, 47, 5  # seeds
VIEW_DEG = 36.0
BLINKS_S = (0.9, 2.2, 3.9, 5.3, 6.6, 7.4, 8.9)


def perform(speech: Speech, names: list[str]) -> tuple[Performance, npt.NDArray[np.int16]]:
    """Turn a spoken sentence into a performance and its whole sound."""
    rng = np.random.default_rng(MOVEMENT)
    spoken_s = len(speech.samples) / speech.rate_hz
    frames = int(np.ceil((spoken_s + SILENCE_BEFORE_S + SILENCE_AFTER_S) * FPS))
    duration = frames / FPS
    samples = np.zeros(int(duration * speech.rate_hz), np.int16)
    start = int(SILENCE_BEFORE_S * speech.rate_hz)
    samples[start : start + len(speech.samples)] = speech.samples[: len(samples) - start]
    sounds = [(0.0, "_")] + [
        (t + SILENCE_BEFORE_S, name) for t, name in speech.sounds if t + SILENCE_BEFORE_S < duration - 0.1
    ]
    track = mouth_curves(sounds, duration, FPS, names)
    track[:, names.index("jawOpen")] *= JAW
    times = np.arange(frames) / FPS
    loud = loudness(samples, speech.rate_hz, frames, FPS)
    _act(track, names, times, duration, loud)

    yaw, pitch, roll = sway(rng, frames, 6.5, 5), sway(rng, frames, 2.2, 7), sway(rng, frames, 2.0, 4)
    pitch = pitch + 4 * (loud - loud.mean())
    gaze_yaw, gaze_pitch = glances(rng, frames, FPS, until=frames - 10)
    # Eyes stay with the viewer while the head moves.
    gaze = np.stack([gaze_yaw - yaw * 0.75, gaze_pitch + pitch * 0.6], 1)
    rot = np.stack([pitch, yaw, roll], 1)
    return Performance(np.clip(track, 0, 1.05), rot, gaze), samples


def _act(track: Floats, names: list[str], times: Doubles, duration: float, loud: Doubles) -> None:
    """What the face says besides the words, and blinks; in place."""
    k = duration / PLANNED_S
    put(track, names, hump(times, 0.15, 1.7), mouthSmile=0.75, cheekSquint=0.4)
    put(track, names, hump(times, 2.3 * k, 2.9 * k), browInnerUp=0.55, browOuterUp=0.5)
    put(track, names, hump(times, 3.9 * k, 5.0 * k), browDown=0.6, eyeSquint=0.3)
    put(track, names, hump(times, 6.5 * k, 7.6 * k), browInnerUp=0.95, browOuterUp=0.8, eyeWide=0.5)
    put(track, names, hump(times, duration - 2.0, duration - 0.12), mouthSmile=0.85, cheekSquint=0.45)
    put(track, names, np.clip(0.35 * (loud - 0.3), 0, 0.3), browInnerUp=1.0, browOuterUp=0.6)
    blink(track, names, times, tuple(t * k for t in BLINKS_S))


def render_clip(out: Path) -> Iterator[int]:
    """Speak, render and encode; H.264 and AAC. Yields each frame's number; the file appears when it is whole."""
    os.environ.setdefault("LP_NUM_THREADS", "1")
    names = topology().actions
    speech = speak(TEXT, words_per_minute=150, pitch=38)
    played, samples = perform(speech, names)
    renderer, room = Renderer(*SIZE), background(ROOM, *SIZE)
    person, look = DRIVER.create()
    renderer.scene.load(person, look, 96)
    # A camera on a desk, which does not follow the face.
    target = person.centre + np.array([0, -0.35, 0.2], np.float32)
    place = target + np.array([0.15, 0.30, 5.8], np.float32)
    light, driven = Light(LIGHT), calibration(renderer).drive(played.actions)
    part = out.with_suffix(".part.mp4")
    exposure: float | None = None
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "19", "preset": "slow"})
        (video.width, video.height), video.pix_fmt = SIZE, "yuv420p"
        audio = container.add_stream("aac", rate=speech.rate_hz, layout="mono")
        for frame, actions in enumerate(driven):
            moment = Moment(actions, played.rot[frame], played.gaze[frame], VIEW_DEG, lambda _: (place, target), light)
            # One exposure throughout, or brightness would pump with the pose.
            camera = Camera(noise=0.006, blur=0.4, exposure=exposure, noise_seed=frame)
            picture = renderer.picture(moment, room, camera)
            exposure = picture.exposure
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture.pixels, format="rgb24")))
            yield frame
        container.mux(video.encode())
        sound = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = speech.rate_hz, 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode())
    part.rename(out)
