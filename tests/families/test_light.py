"""Light and tone of a face made of pictures, on painted heads whose skin and light are known."""

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from mesh_faces import a_face, a_shape, head

from realtime.config import Settings, make_config
from realtime.errors import ConfigError
from realtime.families.face_swap.light import Relight, flatten
from realtime.families.face_swap.skin_reading import (
    GAMMA,
    LUMA,
    SKIN,
    FaceSkin,
    as_camera,
    open_face_skin,
    read_skin,
)
from realtime.families.face_swap.skin_tone import (
    KEPT,
    KEPT_TINT,
    TONES,
    likely_tone,
    mean_skin,
    retone,
    skin_map,
    tone_gain,
    white_to_skin,
)
from realtime.families.motion.mesh.head import EYES, INNER_LIPS, LEFT_EYE, OVAL, RIGHT_EYE
from realtime.frame import Floats, Pixels

SIZE = 256
FORWARD = (0.0, 0.0, 1.0)
LIGHTS: dict[str, list[tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    "front": [((0.2, 0.4, 1), (0.7, 0.7, 0.7))],
    "left": [((-1, 0.2, 0.6), (0.9, 0.9, 0.9))],
    "above": [((0, 1, 0.7), (0.8, 0.9, 1.0))],
    "two colours": [((-1, 0.1, 0.8), (0.3, 0.3, 0.9)), ((1, 0.1, 0.8), (0.8, 0.6, 0.2))],
}
"""Lamps: where they hang, and their colour (BGR). A dim room is added."""


@cache
def skin() -> FaceSkin:
    return FaceSkin(np.zeros((468, 3), np.float32), head())


def points(yaw: float = 0.0, **shape: Any) -> Floats:
    return a_face(a_shape(**shape), turn_deg=(0, yaw, 0), at=(128, 122), px_per_cm=9.5).landmarks


def irradiance(normals: Floats, lamps: Any, gain: float = 1.0) -> Floats:
    light = np.full((len(normals), 3), 0.25)
    for towards, colour in lamps:
        unit = np.array(towards) / np.linalg.norm(towards)
        light += np.clip(normals @ unit, 0, 1)[:, None] * np.array(colour)
    return np.asarray(light * gain, np.float32)


def coded(linear: Any, shoulder: bool = True) -> Pixels:
    y = np.maximum(np.asarray(linear), 0)
    v = as_camera(y) if shoulder else np.clip(y, 0, 1) ** (1 / GAMMA)
    return np.rint(255 * v).astype(np.uint8)


def painted(at: Floats, colours: Floats, *, shoulder: bool = True, white: Any = None) -> Pixels:
    """A head whose vertices have linear `colours` (468, 3); `white`: that of the eyes, (3,) or one for each."""
    picture = np.full((SIZE, SIZE, 3), 0.2, np.float32)
    cv2.fillPoly(picture, [np.rint(at[OVAL, :2]).astype(np.int32)], colours[SKIN].mean(axis=0).tolist())
    triangles = head().triangles
    for three in triangles[np.argsort(-at[triangles, 2].sum(axis=1))]:
        cv2.fillConvexPoly(
            picture, np.rint(at[three, :2] * 16).astype(np.int32), colours[three].mean(axis=0).tolist(), shift=4
        )
    for eye in EYES if white is not None else ():
        cv2.fillPoly(picture, [np.rint(at[eye.ring, :2] * 16).astype(np.int32)], np.ravel(white).tolist(), shift=4)
        middle = np.rint(at[eye.iris, :2]).astype(int).tolist()
        radius = float(np.linalg.norm(at[eye.rim[0], :2] - at[eye.iris, :2]))
        cv2.circle(picture, middle, int(radius), (0.02, 0.02, 0.02), -1)
    return coded(picture, shoulder)


def driven(tone: Floats, lamps: Any, at: Floats | None = None, gain: float = 1.0, white: Any = None) -> Pixels:
    """A person of that skin in that light, as a camera sees them."""
    at = points() if at is None else at
    return painted(at, tone * irradiance(skin().normals(at), lamps, gain), white=white)


def key(tone: Floats, at: Floats | None = None) -> Pixels:
    """The same person's picture as reflectance."""
    return painted(points() if at is None else at, np.repeat(tone[None], 468, axis=0), shoulder=False)


def log_skin(picture: Pixels, at: Floats | None = None) -> Floats:
    """(n, 3) log linear colours of the camera's picture at bare skin."""
    return np.log(read_skin(skin(), picture, points() if at is None else at).colour[SKIN])


def shading(picture: Pixels, at: Floats) -> Floats:
    """(n,) log brightness of bare skin that faces the camera, over some two centimetres."""
    trusted = skin().normals(at)[:, 2] > 0.3
    seen = np.zeros((468, 2), np.float32)
    seen[SKIN] = np.column_stack([log_skin(picture, at) @ LUMA, np.ones(len(SKIN))]) * trusted[SKIN, None]
    broad = skin().smoother @ (skin().smoother @ seen)
    return np.asarray((broad[:, 0] / np.maximum(broad[:, 1], 1e-6))[SKIN][trusted[SKIN]])


def live(**changes: Any) -> Settings:
    return Settings(**changes)


def relit(driver: Pixels, tone: Floats, settings: Settings, at: Floats | None = None) -> tuple[Pixels, Relight]:
    at = points() if at is None else at
    light = Relight(skin(), tone)
    light.read(driver, at, settings, 0.0)
    return light.lay(retone(key(tone, at), None, light.gain), at), light


@pytest.mark.parametrize("yaw", [0.0, 20.0])
@pytest.mark.parametrize("lamps", LIGHTS.values(), ids=LIGHTS)
@pytest.mark.parametrize(("driver", "identity"), [("medium", "light"), ("pale", "dark"), ("dark", "pale")])
def test_another_skin_is_seen_in_the_drivers_light(driver: str, identity: str, lamps: Any, yaw: float) -> None:
    at = points(yaw)
    out, _ = relit(driven(TONES[driver], lamps, at), TONES[identity], live(my_skin=driver, skin=0), at)
    truth = driven(TONES[identity], lamps, at)
    off = np.abs(log_skin(out, at) - log_skin(truth, at))[skin().normals(at)[SKIN, 2] > 0.3]
    assert off.mean() < 0.17  # a flat triangle's own shade is finer than the light that is read
    assert np.corrcoef(shading(out, at), shading(truth, at))[0, 1] > 0.93


@pytest.mark.parametrize("identity", TONES)
@pytest.mark.parametrize("driver", TONES)
@pytest.mark.parametrize("guess", ["auto", "pale", "dark"])
def test_by_default_the_face_stays_near_the_neck_whatever_tone_is_guessed(
    driver: str, identity: str, guess: str
) -> None:
    seen = driven(TONES[driver], LIGHTS["front"], white=np.array([0.4, 0.45, 0.5]))
    out, _ = relit(seen, TONES[identity], live(my_skin=guess))
    assert abs(float(((log_skin(out) - log_skin(seen)) @ LUMA).mean())) < KEPT + 0.05


@pytest.mark.parametrize("fed", ["black", "white", "noise", "stripes"])
@pytest.mark.parametrize("identity", ["pale", "dark"])
@pytest.mark.parametrize("my_skin", ["auto", "pale", "dark"])
@pytest.mark.parametrize("share", ["auto", 0, 1])
def test_brightness_is_bounded_whatever_is_fed(fed: str, identity: str, my_skin: str, share: Any) -> None:
    crop = np.zeros((SIZE, SIZE, 3), np.uint8)
    if fed == "white":
        crop += 255
    elif fed == "noise":
        crop = np.random.default_rng(0).integers(0, 256, crop.shape).astype(np.uint8)
    elif fed == "stripes":
        crop[::2] = 255
    out, light = relit(crop, TONES[identity], live(my_skin=my_skin, skin=share))
    assert np.isfinite(light.gain).all()
    own, theirs = np.exp(log_skin(out) @ LUMA), np.exp(log_skin(crop) @ LUMA)
    assert np.median(own) <= max(1.15, 1.5 * np.median(theirs))
    assert np.median(own) >= 0.15 * min(np.median(theirs), 0.5)


def test_broken_landmarks_change_nothing() -> None:
    seen = driven(TONES["tan"], LIGHTS["left"])
    out, light = relit(seen, TONES["tan"], live())
    broken = np.full((478, 3), np.nan, np.float32)
    light.read(seen, broken, live(), 0.1)
    assert (light.lay(retone(key(TONES["tan"]), None, light.gain), points()) == out).all()
    far = points() + np.float32(1e5)
    light.read(seen, far, live(), 0.2)
    assert light.lay(seen, far).shape == seen.shape


def test_what_was_never_read_leaves_the_picture_alone() -> None:
    picture = key(TONES["tan"])
    shown = Relight(skin(), TONES["tan"]).lay(picture, points())
    assert (shown == picture).all()
    assert shown is not picture


def test_noise_does_not_make_it_flicker() -> None:
    rng, clean = np.random.default_rng(3), driven(TONES["light"], LIGHTS["left"]).astype(np.float32)
    light, shown = Relight(skin(), TONES["tan"]), []
    for frame in range(40):
        noisy = np.clip(clean + rng.normal(0, 5, clean.shape), 0, 255).astype(np.uint8)
        jitter = points() + rng.normal(0, 0.15, (478, 3)).astype(np.float32)
        light.read(noisy, jitter, live(), frame / 30)
        shown.append(light.lay(retone(key(TONES["tan"]), None, light.gain), points()))
    patches = np.array([picture[110:180, 90:166].reshape(7, 10, 4, 19, 3).mean((1, 3)) for picture in shown[8:]])
    assert np.diff(patches, axis=0).std() < 0.4


def test_an_exposure_that_jumps_is_followed_in_the_same_frame() -> None:
    light, tone = Relight(skin(), TONES["light"]), TONES["light"]
    before, after = driven(tone, LIGHTS["left"]), driven(tone, LIGHTS["left"], gain=0.6)
    for frame in range(6):
        light.read(before, points(), live(my_skin="light"), frame / 30)
    light.read(after, points(), live(my_skin="light"), 6 / 30)
    out = light.lay(retone(key(tone), None, light.gain), points())
    assert abs(float((log_skin(out) - log_skin(after)).mean())) < 0.1


def test_light_comes_with_the_frames_times_not_with_their_number() -> None:
    def after(rate: int) -> Floats:
        light = Relight(skin(), TONES["light"])
        light.read(driven(TONES["light"], LIGHTS["left"]), points(), live(), 0.0)
        for frame in range(1, rate // 5 + 1):
            light.read(driven(TONES["light"], LIGHTS["front"]), points(), live(), frame / rate)
        return log_skin(light.lay(retone(key(TONES["light"]), None, light.gain), points()))

    assert np.abs(after(60) - after(30)).mean() < 0.03


def test_a_hand_before_the_face_is_no_shadow() -> None:
    seen, at = driven(TONES["light"], LIGHTS["front"]), points()
    covered, visible = seen.copy(), np.ones((SIZE, SIZE), np.float32)
    covered[130:, :120] = (20, 30, 60)
    visible[130:, :120] = 0
    light = Relight(skin(), TONES["light"])
    light.read(covered, at, live(my_skin="light"), 0.0, visible)
    out = light.lay(retone(key(TONES["light"]), None, light.gain), at)
    assert np.abs(log_skin(out) - log_skin(seen)).mean() < 0.1


@pytest.mark.parametrize("tone", ["pale", "medium", "brown", "dark"])
def test_the_white_of_the_eyes_tells_the_tone(tone: str) -> None:
    seen = driven(TONES[tone], LIGHTS["front"], white=np.array([0.46, 0.49, 0.55]) * 0.9)
    reading = read_skin(skin(), seen, points())
    found = likely_tone(white_to_skin(skin(), seen, points(), reading), float(reading.log_skin(skin().pattern) @ LUMA))
    assert abs(float(np.log(found / TONES[tone]) @ LUMA)) < 0.45


def test_closed_eyes_say_nothing() -> None:
    at = points(shut=(0.9, 0.9))
    seen = driven(TONES["tan"], LIGHTS["front"], at, white=np.array([0.4, 0.4, 0.4]))
    assert white_to_skin(skin(), seen, at, read_skin(skin(), seen, at)) is None


@pytest.mark.slow
def test_tone_changes_in_small_rare_steps_only() -> None:
    light, gains = Relight(skin(), TONES["dark"]), []
    for frame in range(150):
        white = np.array([0.46, 0.49, 0.55]) * (0.9 if frame < 5 else 0.35)  # the lids come down
        light.read(driven(TONES["light"], LIGHTS["front"], white=white), points(), live(skin=1), frame / 30)
        gains.append(light.gain)
    steps = np.abs(np.diff(gains, axis=0)).max(axis=1)
    assert steps.max() < 0.05
    assert (steps > 0).sum() <= 10


def test_a_share_of_the_way_or_near_enough_for_a_neck() -> None:
    pale, dark = TONES["pale"], TONES["dark"]
    gap = np.log(dark / pale)
    assert tone_gain(0.3, pale, dark) == pytest.approx(0.3 * gap)
    assert not tone_gain("auto", pale, pale).any()
    left = gap - tone_gain("auto", pale, dark)
    assert 0.9 * KEPT < abs(float(left @ LUMA)) <= KEPT
    red = pale * np.float32([0.8, 0.9, 1.3])
    left = np.log(red / pale) - tone_gain("auto", pale, red)
    assert np.abs(left - left @ LUMA).max() <= KEPT_TINT + 1e-5


def test_only_skin_is_retoned() -> None:
    picture = np.full((4, 4, 3), 100, np.uint8)
    half = np.zeros((4, 4), np.uint8)
    half[:, :2] = 255
    made = retone(picture, half, np.log(np.float32([2, 2, 2])))
    assert (made[:, 2:] == 100).all()
    assert (made[:, :2] == round(100 * 2 ** (1 / GAMMA))).all()
    assert retone(picture, half, np.zeros(3, np.float32)) is picture


def test_a_skin_map_leaves_out_brows_eyes_and_teeth() -> None:
    at = points(jaw_cm=2.5)
    picture = painted(at, np.repeat(TONES["light"][None], 468, axis=0), shoulder=False, white=np.array([0.5, 0.5, 0.5]))
    brow = np.rint(at[[70, 63, 105, 66, 107, 55, 65, 52, 53, 46], :2]).astype(np.int32)
    cv2.fillPoly(picture, [brow], (30, 34, 40))
    cv2.fillPoly(picture, [np.rint(at[INNER_LIPS, :2]).astype(np.int32)], (190, 200, 210))
    found = skin_map(skin(), picture, at)

    def near(vertex: int) -> float:
        x, y = np.rint(at[vertex, :2]).astype(int)
        return float(found[y - 1 : y + 2, x - 1 : x + 2].mean())

    assert near(50) > 250  # a cheek
    assert near(151) > 250  # the forehead
    assert max(near(RIGHT_EYE.iris), near(LEFT_EYE.iris)) < 60
    x, y = brow.mean(axis=0).astype(int)
    assert found[y, x] < 60
    mouth = at[[13, 14], :2].mean(axis=0).astype(int)
    assert found[mouth[1], mouth[0]] < 30


@pytest.mark.parametrize("lamps", ["left", "above", "two colours"])
def test_a_photograph_is_flattened(lamps: str) -> None:
    at, tone = points(), TONES["medium"]
    photo = driven(tone, LIGHTS[lamps], white=np.array([0.46, 0.49, 0.55]) * 0.7)
    flat = flatten(skin(), photo, at)
    front = skin().normals(at)[SKIN, 2] > 0.3

    def uneven(picture: Pixels) -> float:
        return float(log_skin(picture)[front].std(axis=0).mean())

    assert uneven(flat) < 0.7 * uneven(photo)
    assert abs(float(np.log(mean_skin(skin(), flat, at) / tone) @ LUMA)) < 0.5


def test_all_faces_have_redder_lips_and_darker_sockets() -> None:
    known = open_face_skin()
    lips, cheeks = known.pattern[[0, 17]].mean(axis=0), known.pattern[[50, 280]].mean(axis=0)
    assert lips[2] - lips[1] > cheeks[2] - cheeks[1] + 0.1
    assert np.abs(np.median(known.pattern[SKIN], axis=0)).max() < 0.1
    assert np.abs(known.pattern).max() < 2.5


@pytest.mark.parametrize("value", ["half", "1.5", -0.1, True, None])
def test_a_skin_share_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"auto, or a number from 0"):
        make_config({}, {"skin": value})


def test_a_skin_share_comes_as_word_or_number() -> None:
    assert make_config({}, {"skin": "auto"}).settings().skin == "auto"
    assert make_config({}, {"skin": "0.25"}).settings().skin == 0.25
