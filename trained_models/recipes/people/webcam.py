"""What cheap cameras do to a picture: motion blur, darkness, noise, sharpening, JPEG, H.264's blocks."""

from dataclasses import dataclass

import cv2
import numpy as np

from trained_models.recipes.people.develop import Camera, Pixels


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
