"""A puppet that remembers what it was asked and what it made, and avatars made ready for it."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from benchmarks.moment import Floats
from realtime.families.motion.canvas import Canvas, read_background
from realtime.families.motion.effect import ReenactmentEffect
from realtime.families.motion.motion_model import Drawn, Motion, MotionModel
from realtime.families.motion.open_model import open_puppet
from realtime.frame import Frame, Pixels
from realtime.models.avatar import Avatar
from realtime.models.avatar_loading import choose_avatars, ready_avatars
from realtime.models.bundle import Bundle
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker


class WatchedPuppet:
    """Obeys `MotionModel`. `casts` are all made so far; `drawn` and `how` the last picture's; both None before."""

    def __init__(self, inner: MotionModel[Any, Any]) -> None:
        self._inner = inner
        self.needs_face = inner.needs_face
        self.casts: list[Any] = []
        self.drawn: Drawn | None = None
        self.how: Motion | None = None

    @property
    def ran_on(self) -> str:
        """The inner puppet's."""
        return self._inner.ran_on

    @property
    def precision(self) -> str:
        """The inner puppet's."""
        return self._inner.precision

    @property
    def spent_ns(self) -> int:
        """The inner puppet's."""
        return self._inner.spent_ns

    def cast(self, picture: Pixels, face: Face | None) -> Any:
        """The inner puppet's, remembered."""
        self.casts.append(self._inner.cast(picture, face))
        return self.casts[-1]

    def perceive(self, frame: Frame, face: Face | None, steadiness: float) -> Any | None:
        """The inner puppet's."""
        return self._inner.perceive(frame, face, steadiness)

    def between(self, a: Any, b: Any, share: float) -> Any:
        """The inner puppet's."""
        return self._inner.between(a, b, share)

    def draw(self, cast: Any, driving: Any, reference: Any, how: Motion) -> Drawn:
        """The inner puppet's, remembered."""
        self.how, self.drawn = how, self._inner.draw(cast, driving, reference, how)
        return self.drawn

    def forget(self) -> None:
        """As if nothing had been drawn."""
        self.how = self.drawn = None

    def close(self) -> None:
        """Close the inner puppet."""
        self._inner.close()


class Still:
    """An avatar's still picture as it should go out, and where in it something may move."""

    def __init__(self, avatar: Avatar, cast: Any, size: tuple[int, int]) -> None:
        self._stage = Canvas(avatar, size, None)
        self._stage.place(cast.crop_from_avatar, cast.size)
        self.side: int = cast.size
        self._mask: Floats | None = None
        self._share: Floats | None = None

    @property
    def still(self) -> Pixels:
        """(H, W, 3): the picture with nothing moved."""
        return self._stage.still

    def share(self, mask: Floats) -> Floats:
        """(H, W) 0..1: how much of each pixel is the crop's under its mask: white laid in less black laid in."""
        if self._share is None or self._mask is not mask:
            black = np.zeros((self.side, self.side, 3), np.uint8)
            light, dark = (self._stage.show(Drawn(crop, mask)) for crop in (np.full_like(black, 255), black))
            self._mask, self._share = mask, (light.astype(np.float32) - dark).max(axis=2) / np.float32(255)
        return self._share

    def shown(self, drawn: Drawn) -> Pixels:
        """The whole picture with a crop laid in."""
        return self._stage.show(drawn)

    def changed_outside(self, picture: Pixels, mask: Floats) -> int:
        """The largest change where nothing may move, in levels of 0..255."""
        changed = np.abs(picture.astype(np.int16) - self.still).max(axis=2)[self.share(mask) == 0]
        return int(changed.max()) if changed.size else 0


def open_avatars(spec: str | None, *, with_face: bool) -> list[Avatar]:
    """The avatars `--avatar` names, ready. Raises MasqueradeError."""
    if not with_face:
        return ready_avatars(choose_avatars(spec), None)
    with closing(Tracker(provider="cpu", faces=4)) as tracker:
        return ready_avatars(choose_avatars(spec), tracker.find)


def open_watched(
    bundle: Bundle, avatars: Sequence[Avatar], *, provider: str, precision: str
) -> tuple[ReenactmentEffect[Any, Any], WatchedPuppet]:
    """The character as `masquerade run` makes it, and the puppet in it. Close the first."""
    puppet = WatchedPuppet(open_puppet(bundle, provider=provider, precision=precision))
    try:
        return ReenactmentEffect(puppet, avatars, background=read_background), puppet
    except BaseException:
        puppet.close()
        raise
