"""From light and colour to a picture: light spreads under the skin, then exposure, tone curve and a camera's faults."""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from realtime.frame import Pixels
from trained_models.recipes.people.assets import Floats

SPREAD = (0.030, 0.012, 0.006)  # how far light spreads under skin, dm, for red, green, blue (standard deviation)
MIDDLE = 0.25
BRIGHTEST = 30.0
COARSEST = 1.2  # A blur of this deviation in pixels is still smooth


@dataclass(frozen=True, slots=True)
class Camera:
    """`noise`: standard deviation of 0..1 values; `blur` in pixels; `exposure`: None measures the face.

    `white_balance` 0..1: how much of the light's own colour the camera takes away. `bias`: a factor by
    which a measured exposure is wrong.
    """

    noise: float = 0.0
    blur: float = 0.0
    exposure: float | None = None
    white_balance: float = 0.65
    bias: float = 1.0
    noise_seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """`pixels` (h, w, 3) uint8 RGB; `face` (h, w) float32 0..1: where skin, eyes and mouth of the face show.
    `exposure`: the gain that was used. `landmarks` (68, 2): pixels where `landmark_vertices` are, seen or hidden."""

    pixels: Pixels
    face: Floats
    exposure: float
    landmarks: Floats = field(default_factory=lambda: np.zeros((0, 2), np.float32))


def _spread(light: Floats, skin: Floats, px_per_dm: float) -> Floats:
    """Blur each channel's light among skin (h, w, 0..1) only; the weights keep the outside from leaking in."""
    out = light.copy()
    for channel, reach in enumerate(SPREAD):
        sigma = px_per_dm * reach
        if sigma < 0.35:
            continue
        own: Any = light[..., channel]
        whole: Any = skin
        # A wide blur needs no full size, and its cost falls with the square.
        halves = int(np.log2(max(sigma / COARSEST, 1)))
        size = skin.shape[1] >> halves, skin.shape[0] >> halves
        lit: Any = own * skin
        if halves:
            lit, whole = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (lit, skin))
        sigma = sigma / 2**halves
        blurred = cv2.GaussianBlur(lit, (0, 0), sigma) / (cv2.GaussianBlur(whole, (0, 0), sigma) + 1e-3)
        if halves:
            blurred = cv2.resize(blurred, skin.shape[::-1], interpolation=cv2.INTER_LINEAR)
        out[..., channel] = own + skin * (blurred - own)
    return out


def balance(light: Floats, drawn: Any, strength: float) -> Any:
    """(3,) gains that take the light's colour out of the picture, as far as `strength`."""
    mean = light[::4, ::4][drawn[::4, ::4]].mean(0) if drawn.any() else np.ones(3)
    mean = np.maximum(mean, 1e-3)
    return ((mean.mean() / mean) ** strength).astype(np.float32)


def exposure(colour: Floats, skin: Any) -> float:
    """A gain that brings the face two thirds of the way to a middle brightness."""
    if skin.sum() <= 50:
        return 1.0
    return float(np.clip((MIDDLE / max(colour[skin].mean(), 0.02)) ** 0.7, 0.5, 2.2))


def toned(lit: Floats, gain: float) -> Any:
    """Linear light → 0..1 for a screen, with a film's soft shoulder."""
    x = 1 - np.exp(-np.clip(lit * gain, 0, None) * 1.25)
    x = np.clip(x, 0, 1) ** (1 / 2.2)
    return x + 0.4 * (x * x * (3 - 2 * x) - x)


def develop(
    layers: list[Floats], background: Floats, camera: Camera, size: tuple[int, int], px_per_dm: float
) -> Picture:
    """A picture of `size` (w, h) from the three layers of `light.frag.glsl`, (H, W, 4), maybe larger than `size`.
    `px_per_dm` is the layers' scale at the face; `background` (h, w, 3) is linear."""
    # One bad pixel would spread with the blur.
    light, colour, gloss = (
        np.clip(np.nan_to_num(layer, nan=0.0, posinf=BRIGHTEST, neginf=0.0), 0, BRIGHTEST) for layer in layers
    )
    skin: Any = light[..., 3]
    lit: Any = _spread(light[..., :3], skin, px_per_dm) * colour[..., :3] + gloss[..., :3]
    cover: Any = colour[..., 3]
    face: Any = gloss[..., 3]
    if lit.shape[:2] != size[::-1]:
        lit, cover, skin, face = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (lit, cover, skin, face))
    lit = lit + background * (1 - np.clip(cover[..., None], 0, 1))
    lit = lit * balance(light[..., :3], colour[..., 3] > 0.5, camera.white_balance)
    gain = camera.exposure or exposure(lit, skin > 0.9) * camera.bias
    x = toned(lit, gain)
    if camera.blur > 0:
        x = cv2.GaussianBlur(x, (0, 0), camera.blur)
    if camera.noise > 0:
        grain = np.random.default_rng(camera.noise_seed).normal(0, camera.noise, x.shape)
        x = x + grain.astype(np.float32)
    return Picture((np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8), np.clip(face, 0, 1), gain)


@dataclass(frozen=True, slots=True)
class Webcam:
    """A camera's character, the same for all frames of a clip.

    `noise`, `blur`, `exposure_error` (a factor), `white_balance`: see `Camera`. `smear`: the longest motion blur in
    pixels; `sharpen`: 0..1; `jpeg`: quality, or None; `chroma`: whether colour has half the resolution.
    """

    noise: float = 0.0
    blur: float = 0.0
    exposure_error: float = 1.0
    white_balance: float = 0.65
    smear: float = 0.0
    sharpen: float = 0.0
    jpeg: int | None = None
    chroma: bool = False

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Webcam":
        """One of three kinds: good, usual, and a poor one in a dark room."""
        kind = rng.choice(3, p=[0.3, 0.5, 0.2])
        return cls(
            noise=float(rng.uniform(*((0.0, 0.006), (0.004, 0.018), (0.015, 0.05))[kind])),
            blur=float(rng.uniform(*((0.0, 0.4), (0.2, 0.8), (0.5, 1.4))[kind])),
            exposure_error=float(np.exp(rng.normal(0, (0.08, 0.15, 0.3)[kind]))),
            white_balance=float(rng.uniform(*((0.6, 0.95), (0.4, 0.9), (0.1, 0.7))[kind])),
            smear=float(rng.uniform(0, (0.5, 2.0, 5.0)[kind])),
            sharpen=float(rng.uniform(0, (0.2, 0.8, 0.6)[kind])),
            jpeg=None if kind == 0 else int(rng.uniform(*((0, 0), (55, 92), (30, 70))[kind])),
            chroma=bool(kind > 0),
        )

    def camera(self, frame: int, exposure: float | None) -> Camera:
        """The settings for one frame; `exposure` is the clip's own, None before its first frame."""
        return Camera(self.noise, self.blur, exposure, self.white_balance, self.exposure_error, frame)

    def seen(self, pixels: Pixels, moved_px: tuple[float, float] = (0.0, 0.0)) -> Pixels:
        """The picture (h, w, 3) RGB after lens, shutter and coder; `moved_px`: how far the face went since the last."""
        out: Pixels = pixels
        if (far := float(np.hypot(*moved_px))) > 0.5 and self.smear > 0.5:
            length = min(far * 0.5, self.smear)
            out = _smeared(out, (moved_px[0] / far * length, moved_px[1] / far * length))
        if self.sharpen > 0.05:
            soft = cv2.GaussianBlur(out, (0, 0), 1.2)
            out = np.asarray(cv2.addWeighted(out, 1 + self.sharpen, soft, -self.sharpen, 0), np.uint8)
        if self.chroma:
            out = _half_colour(out)
        if self.jpeg is not None:
            coded = cv2.imencode(".jpg", out[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])[1]
            out = np.asarray(cv2.cvtColor(np.asarray(cv2.imdecode(coded, 1)), cv2.COLOR_BGR2RGB), np.uint8)
        return out


def _smeared(pixels: Pixels, along: tuple[float, float]) -> Pixels:
    """The mean of the picture moved along a short line."""
    size = 2 * int(np.ceil(max(abs(along[0]), abs(along[1])))) + 3
    kernel = np.zeros((size, size), np.float32)
    middle = size // 2
    for share in np.linspace(-0.5, 0.5, 4 * size):
        kernel[round(middle + share * along[1]), round(middle + share * along[0])] += 1
    return np.asarray(cv2.filter2D(pixels, -1, kernel / kernel.sum()), np.uint8)


def _half_colour(pixels: Pixels) -> Pixels:
    """4:2:0, as every video coder stores it."""
    height, width = pixels.shape[:2]
    ycc = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    small = cv2.resize(ycc[..., 1:], (max(width // 2, 1), max(height // 2, 1)), interpolation=cv2.INTER_AREA)
    ycc[..., 1:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB), np.uint8)
