"""First Order Motion as a `MotionModel`: key points of a square around the driver move the avatar's.

The square follows the face, so that any framing of the camera will do. Key points are carried back into the
picture and from there into the square of the neutral pose: the head's travels are kept, the square's are not.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from realtime.errors import ConfigError, ModelError
from realtime.families.motion.canvas import border_mask, region_mask
from realtime.families.motion.first_order.keypoints import (
    FLAT,
    KeyPoints,
    Limits,
    RelativeMotion,
    hull_area,
    limited,
    of_region,
    weakened,
)
from realtime.families.motion.first_order.network import EncodedSource, FirstOrderNetwork
from realtime.families.motion.motion_model import DrawnCrop, Motion
from realtime.families.motion.reference_pose import crop_of_square, portrait_crop, portrait_square
from realtime.frame import Doubles, Floats, Frame, Pixels
from realtime.imaging.affine import Matrix, Points, cut, invert
from realtime.inference.session import Session
from realtime.tracking.face import Face
from realtime.tracking.smoothing import MAX_STEP_S, OneEuro

FOLLOW = (0.25, 6.0, 1.0)
"""One-Euro of the square: lowest cutoff in Hz, Hz for each side a second, cutoff of the speed in Hz.

At rest the square hardly moves; a head that walks off is followed within a third of a second.
"""


class SmoothCrop:
    """Follows a head slowly with a square, so that what the model looks at does not tremble itself."""

    def __init__(self) -> None:
        self._filter = OneEuro(*FOLLOW)
        self._last_s: float | None = None
        self._track: int | None = None

    def __call__(self, landmarks: Points, track: int, now_s: float) -> tuple[float, float, float]:
        """(x, y, side) in the landmarks' pixels. Another person, or a gap in time, starts afresh.

        Raises ValueError as `portrait_square`.
        """
        x, y, side = portrait_square(landmarks)
        step_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        if not 0 < step_s <= MAX_STEP_S or track != self._track:
            self._filter, self._track, step_s = OneEuro(*FOLLOW), track, 0.0
        steady = self._filter(np.array([[x, y, side]]), step_s, unit=side)[0]
        return float(steady[0]), float(steady[1]), float(steady[2])


log = logging.getLogger(__name__)
PLACE = (1.2, 30.0, 1.0)
SHAPE = (1.0, 4.0, 1.0)
"""One-Euro of key points' places (in sides of the square) and of their Jacobians (as the network gives them)."""
LEAST_SPREAD = 0.02
"""Of key points, as the area of their hull in a square of area 4: fewer is a network that sees nothing."""
FAR = 50.0  # A key point so many half squares away, or a Jacobian that large, says nothing


@dataclass(frozen=True, slots=True, eq=False)
class Posed:
    """What one frame says of the driver: key points in the frame's own pixels, and the square they were seen in.

    `place` is (K, 2), `shape` (K, 2, 2): a Jacobian in pixels. `crop_from_frame` goes to a crop of the network's size.
    """

    place: Doubles
    shape: Doubles
    crop_from_frame: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class FirstOrderSource:
    """An avatar, encoded: for one network only. `masks`: where each region lies, (size, size)."""

    size: int
    crop_from_avatar: Matrix
    encoded: EncodedSource
    masks: Mapping[str, Floats]
    has_face: bool


class FirstOrderModel:
    """A `MotionModel` of the three networks. Owns `network` and closes it.

    `needs_face`: the model animates faces, and looks at a square that follows one; otherwise at the largest
    square in the middle of the picture, avatar and driver alike, as upstream does. `limits` None lets all
    motion pass.
    """

    def __init__(
        self,
        network: FirstOrderNetwork,
        *,
        needs_face: bool = True,
        limits: Limits | None = Limits(),  # noqa: B008
    ) -> None:
        self.needs_face = needs_face
        self.sessions: Sequence[Session] = network.sessions
        self._network = network
        self._limits = limits
        self._follow = SmoothCrop()
        self._warned = False
        self._start()

    def _start(self) -> None:
        self._places, self._shapes = OneEuro(*PLACE), OneEuro(*SHAPE)
        self._last_s: float | None = None
        self._track: int | None = None

    def encode_source(self, picture: Pixels, face: Face | None) -> FirstOrderSource:
        """An avatar's picture, encoded. Raises ConfigError without a face where one is needed, ModelError."""
        size = self._network.size
        if self.needs_face:
            if face is None:
                raise ConfigError("this model moves faces, and the avatar has none: give another picture")
            crop_from_avatar = portrait_crop(face.landmarks, size)
        else:
            crop_from_avatar = _middle(picture.shape[1], picture.shape[0], size)
        encoded = self._network.encode(cut(picture, crop_from_avatar, size, "edge"))
        if not _usable(encoded.keypoints):
            raise ModelError("the model finds no key points in the avatar: give another picture")
        whole = border_mask(size)
        masks = {"all": whole, "expression": whole, "head": whole, "lips": whole, "eyes": whole}
        if face is not None:
            masks["lips"] = region_mask(face.landmarks, crop_from_avatar, size, "lips")
            masks["eyes"] = region_mask(face.landmarks, crop_from_avatar, size, "eyes")
        return FirstOrderSource(size, crop_from_avatar, encoded, masks, face is not None)

    def encode_driving(self, frame: Frame, face: Face | None, steadiness: float) -> Posed | None:
        """The driver's key points, steadied; None where the network sees nothing that it knows."""
        now_s = frame.time_s
        size = self._network.size
        track = None
        if self.needs_face:
            if face is None:
                return None
            track = face.track
            crop_from_frame = crop_of_square(*self._follow(face.landmarks, track, now_s), size)
        else:
            crop_from_frame = _middle(*frame.size, size)
        found = self._network.keypoints(cut(frame.pixels, crop_from_frame, size, "edge"))
        if not _usable(found):
            self._start()
            return None
        place, shape = _in_frame(found, crop_from_frame, size)
        step_s = 0.0 if self._last_s is None else now_s - self._last_s
        if not 0 < step_s <= MAX_STEP_S or track != self._track:
            self._start()
            step_s = 0.0
        self._last_s, self._track = now_s, track
        side = size / crop_from_frame[0, 0]
        steady = self._places(place, step_s, steadiness, unit=side)
        flat = self._shapes(shape.reshape(-1, 4) / side, step_s, steadiness)
        return Posed(steady, flat.reshape(-1, 2, 2) * side, crop_from_frame)

    def between(self, a: Posed, b: Posed, share: float) -> Posed:
        """A pose on the way from `a` (share 0) to `b` (share 1)."""
        return Posed(
            a.place + share * (b.place - a.place),
            a.shape + share * (b.shape - a.shape),
            a.crop_from_frame + share * (b.crop_from_frame - a.crop_from_frame),
        )

    def draw(self, source: FirstOrderSource, driving: Posed, reference: Posed | None, how: Motion) -> DrawnCrop:
        """The avatar's crop, moved."""
        if how.region in ("lips", "eyes") and not source.has_face and not self._warned:
            self._warned = True
            log.warning("there is no face in the avatar to find %s in: all of it moves, without the head", how.region)
        avatar = source.encoded.keypoints
        moved = weakened(avatar, self._moved(avatar, driving, reference, how), how.strength)
        return DrawnCrop(self._network.draw(source.encoded, moved), source.masks[how.region])

    def _moved(self, avatar: KeyPoints, driving: Posed, reference: Posed | None, how: Motion) -> KeyPoints:
        size = self._network.size
        if not how.relative or reference is None:
            moved = of_region(_sane(_in_square(driving, driving.crop_from_frame, size), avatar), avatar, how.region)
        else:
            neutral = _in_square(reference, reference.crop_from_frame, size)
            now = of_region(_sane(_in_square(driving, reference.crop_from_frame, size), neutral), neutral, how.region)
            try:
                # A model without Jacobians ignores them; the identities given for it stay such.
                motion = RelativeMotion(avatar, neutral, adapt_scale=how.adapt_scale)
            except ModelError:
                return avatar  # half-way between two references key points may meet: no motion for that frame
            moved = motion(now)
        return moved if self._limits is None else limited(avatar, moved, self._limits)

    def close(self) -> None:
        """Close the networks. May be called twice."""
        self._network.close()


def _middle(width: int, height: int, size: int) -> Matrix:
    """The largest square in the middle of a picture, as a crop of `size`."""
    side = min(width, height)
    x, y = (width - side) // 2, (height - side) // 2
    return crop_of_square(x + (side - 1) / 2, y + (side - 1) / 2, side, size)


def _in_frame(found: KeyPoints, crop_from_frame: Matrix, size: int) -> tuple[Doubles, Doubles]:
    """A crop's key points in the pixels of the frame. -1 and 1 are the centres of the crop's outer pixels."""
    half = 0.5 * (size - 1)
    frame_from_crop = invert(crop_from_frame)
    crop = (found.value.astype(np.float64) + 1.0) * half
    place = crop @ frame_from_crop[:, :2].T + frame_from_crop[:, 2]
    return place, found.jacobian.astype(np.float64) * half * frame_from_crop[0, 0]


def _in_square(posed: Posed, crop_from_frame: Matrix, size: int) -> KeyPoints:
    """The same key points as a crop cut with that matrix would have them."""
    half = 0.5 * (size - 1)
    crop = posed.place @ crop_from_frame[:, :2].T + crop_from_frame[:, 2]
    jacobian = posed.shape * (crop_from_frame[0, 0] / half)
    return KeyPoints((crop / half - 1.0).astype(np.float32), jacobian.astype(np.float32))


def _sane(points: KeyPoints, otherwise: KeyPoints) -> KeyPoints:
    """The key points, with those of `otherwise` where they are no numbers or far off every picture."""
    near = np.abs(points.value).max(axis=1) < FAR
    plain = np.abs(points.jacobian).max(axis=(1, 2)) < FAR
    return KeyPoints(
        np.where(near[:, None], points.value, otherwise.value),
        np.where(plain[:, None, None], points.jacobian, otherwise.jacobian),
    )


def _usable(points: KeyPoints) -> bool:
    """True for key points that motion can be measured against: finite, spread out, Jacobians with an inverse."""
    if not (np.isfinite(points.value).all() and np.isfinite(points.jacobian).all()):
        return False
    jacobian = points.jacobian.astype(np.float64)
    area = jacobian[:, 0, 0] * jacobian[:, 1, 1] - jacobian[:, 0, 1] * jacobian[:, 1, 0]
    return bool((np.abs(area) > 10 * FLAT).all()) and hull_area(points.value) > LEAST_SPREAD
