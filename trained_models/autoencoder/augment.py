"""A rendered driver's crop made to look like what cheap webcams, odd lamps and busy hands give.

Only the network's input is changed; the target stays as rendered. The same seed gives the same picture.
"""

import cv2
import numpy as np

from realtime.frame import Doubles, Floats, Pixels

Rng = np.random.Generator

LEFT_RIGHT = (
    *((1, 2), (4, 5), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16), (17, 18), (19, 20), (21, 22), (24, 26), (28, 29)),
    *((30, 31), (33, 39), (34, 35), (36, 37), (44, 45), (46, 47), (48, 49), (50, 51)),
)
"""Index pairs of MediaPipe's 52 blendshapes that trade places in a mirror."""


def mirrored_blendshapes(blendshapes: Floats) -> Floats:
    """What the tracker would read in the mirror picture: left and right trade places. Shape (52,)."""
    order = np.arange(52)
    for left, right in LEFT_RIGHT:
        order[left], order[right] = right, left
    return blendshapes[order]


def shaken(large: int, size: int, rng: Rng) -> Doubles:
    """The (2, 3) matrix to the middle (size, size) of a crop of side `large`, as an unsteady landmark fit would cut it.

    Little: the crops come from a tracker that trembles of itself, and what the code says of where the chin
    is keeps its outline sharp.
    """
    margin = (large - size) / 2
    angle = np.deg2rad(rng.normal(0, 1.2))
    scale = np.exp(rng.normal(0, 0.012))
    stretch = np.exp(rng.normal(0, 0.02))
    shift = rng.normal(0, 0.006 * size, 2)
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    turn = np.array([[c * stretch, -s], [s, c / stretch]])
    middle = np.full(2, (size - 1) / 2)
    offset = middle - turn @ (middle + margin) + shift
    return np.column_stack([turn, offset])


def warped(picture: Pixels, crop_from_picture: Doubles, size: int) -> Pixels:
    """The (size, size) crop, the picture's edge repeated beyond it."""
    out = cv2.warpAffine(
        picture, crop_from_picture, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(out, np.uint8)


def tone_curve(rng: Rng) -> Pixels:
    """A (256, 1, 3) table: exposure, white balance, gamma and contrast in one."""
    level = np.linspace(0, 1, 256)[:, None]
    gain = np.exp(rng.normal(0, 0.1)) * np.exp(rng.normal(0, 0.08, 3))
    out = np.clip(level * gain, 0, None) ** np.exp(rng.normal(0, 0.22))
    out = (out - 0.5) * np.exp(rng.normal(0, 0.15)) + 0.5 + rng.normal(0, 0.04)
    return np.clip(out * 255, 0, 255).astype(np.uint8)[:, None, :]


def lit_unevenly(picture: Pixels, rng: Rng) -> Pixels:
    """The picture under a soft extra lamp or shadow: a 3x3 field of gains, blown up."""
    size = picture.shape[0]
    field = np.exp(rng.normal(0, 0.16, (3, 3, 1)) + rng.normal(0, 0.04, (3, 3, 3))).astype(np.float32)
    gains = cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)
    return cv2.multiply(picture, gains, dtype=cv2.CV_8U)


def shadowed(picture: Pixels, rng: Rng) -> Pixels:
    """The picture with small soft shadows, as beside a nose, in a nostril, under a lip: dark, and still the face."""
    size = picture.shape[0]
    light = np.ones((size, size), np.float32)
    for _ in range(int(rng.integers(1, 6))):
        spot = np.zeros((size, size), np.float32)
        centre = tuple(int(v) for v in rng.uniform(0.2, 0.8, 2) * size)
        axes = tuple(max(1, int(v)) for v in rng.uniform(0.006, 0.06, 2) * size)
        cv2.ellipse(spot, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
        spot = np.asarray(cv2.GaussianBlur(spot, (0, 0), float(rng.uniform(0.5, 3.0))), np.float32)
        light *= 1 - spot * np.float32(rng.uniform(0.3, 0.95))
    # Light that has gone through skin is red: a shadow takes least of it.
    gains = light[..., None] ** np.array([1.15, 1.05, 0.85], np.float32)
    return cv2.multiply(picture, gains, dtype=cv2.CV_8U)


def covered(picture: Pixels, rng: Rng) -> tuple[Pixels, Floats]:
    """The picture with a hand-, cable- or mug-like patch of one colour over part of it, and the patch (S, S) 0..1."""
    size = picture.shape[0]
    patch = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        centre = (int(rng.uniform(0, size)), int(rng.uniform(0, size)))
        axes = (int(rng.uniform(0.02, 0.22) * size), int(rng.uniform(0.04, 0.3) * size))
        cv2.ellipse(patch, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    patch = np.asarray(cv2.GaussianBlur(patch, (0, 0), float(rng.uniform(0.5, 2.5))), np.float32)
    soft = patch[..., None]
    speckle = rng.normal(0, 12, (size // 8, size // 8, 3)).astype(np.float32)
    colour = rng.uniform(10, 235, 3).astype(np.float32) + cv2.resize(speckle, (size, size))
    return np.clip(picture * (1 - soft) + colour * soft, 0, 255).astype(np.uint8), patch


def softened(picture: Pixels, rng: Rng) -> Pixels:
    """The picture out of focus, moved during the exposure, or from a smaller camera."""
    size = picture.shape[0]
    kind = rng.uniform()
    if kind < 0.45:
        small = int(size / rng.uniform(1.3, 4.0))
        way = cv2.INTER_AREA if rng.uniform() < 0.5 else cv2.INTER_LINEAR
        back = cv2.INTER_CUBIC if rng.uniform() < 0.5 else cv2.INTER_LINEAR
        return cv2.resize(cv2.resize(picture, (small, small), interpolation=way), (size, size), interpolation=back)
    if kind < 0.85:
        return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 2.0)))
    length = int(rng.integers(3, 10))
    line = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    half = (length - 1) / 2
    step = half * np.array([np.cos(angle), np.sin(angle)])
    ends = np.rint([half - step, half + step]).astype(int)
    cv2.line(line, ends[0].tolist(), ends[1].tolist(), 1.0)
    return cv2.filter2D(picture, -1, line / line.sum())


def noisy(picture: Pixels, rng: Rng) -> Pixels:
    """The picture with a small sensor's grain: part per pixel, part in coarser blotches."""
    size = picture.shape[0]
    fine = rng.standard_normal((size, size, 1), dtype=np.float32) * np.float32(rng.uniform(1, 9))
    blotch = rng.standard_normal((size // 3, size // 3, 3), dtype=np.float32) * np.float32(rng.uniform(0, 7))
    grain = fine + cv2.resize(blotch, (size, size))
    return cv2.add(picture, grain, dtype=cv2.CV_8U)


def jpeg(picture: Pixels, rng: Rng) -> Pixels:
    """The picture after a hard JPEG round trip, as MJPG cameras deliver it."""
    stream = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 92))])[1]
    return np.asarray(cv2.imdecode(stream, cv2.IMREAD_COLOR), np.uint8)


def webcam(picture: Pixels, size: int, rng: Rng) -> Pixels:
    """(size, size, 3) uint8 BGR: a rendered crop as some webcam might have shown it."""
    out = warped(picture, shaken(picture.shape[0], size, rng), size)
    if rng.uniform() < 0.15:
        out, _ = covered(out, rng)
    return seen_by_a_camera(out, rng)


def seen_by_a_camera(picture: Pixels, rng: Rng) -> Pixels:
    """The crop in other light, through a poor lens and a poor sensor, packed too tightly; nothing moves."""
    out = picture
    if rng.uniform() < 0.2:  # seldom: the network is to follow the light it sees
        out = lit_unevenly(out, rng)
    out = cv2.LUT(out, tone_curve(rng))
    grey_share = 0.0 if rng.uniform() < 0.4 else rng.uniform(-0.3, 0.6)
    if rng.uniform() < 0.06:
        grey_share = 1.0
    if grey_share:
        grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        out = cv2.addWeighted(out, 1 - grey_share, grey, grey_share, 0)
    if rng.uniform() < 0.55:
        out = softened(out, rng)
    if rng.uniform() < 0.12:
        out = cv2.addWeighted(out, 1.8, cv2.GaussianBlur(out, (0, 0), 1.5), -0.8, 0)
    if rng.uniform() < 0.6:
        out = noisy(out, rng)
    if rng.uniform() < 0.35:
        out = jpeg(out, rng)
    return np.ascontiguousarray(out, np.uint8)
