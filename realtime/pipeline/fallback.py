"""What leaves the program when there is no synthetic picture: the user's own only with --allow-raw."""

from dataclasses import dataclass, replace
from typing import Literal

from realtime.clock import NS_PER_S
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.imaging.resize import letterbox
from realtime.output.disclosure import blurred_slate, slate
from realtime.pipeline.engine import Result

Kind = Literal["synthetic", "rest", "hold", "card", "blur", "raw"]

HOLD_NS = NS_PER_S
"""How long the last synthetic picture stands in before the slate does."""


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """One picture as it leaves: (H, W, 3) of the sinks' size, and what it is.

    `rest` is synthetic too: an avatar whom nobody drives just now. `may_hide_badge`: its identity leaves
    the badge to the user. `covered`: how many faces are covered in it.
    """

    pixels: Pixels
    kind: Kind
    may_hide_badge: bool = True
    covered: int = 0

    @property
    def guarded(self) -> bool:
        """True where something stood in for a synthetic picture."""
        return self.kind in ("hold", "card", "blur")


class Fallback:
    """Chooses what leaves. For one thread. `size` is the sinks' (width, height), `title` names the identity."""

    def __init__(self, size: tuple[int, int], title: str, *, allow_raw: bool = False) -> None:
        self._size, self._title, self._allow_raw = size, title, allow_raw
        self._last: Outgoing | None = None
        self._others = Settings().others
        self._last_ns = 0
        self._slates: dict[str, Pixels] = {}

    def picture(self, result: Result | None, now_ns: int, settings: Settings) -> Outgoing:
        """What leaves now: for the engine's newest result, or for None when it is silent.

        `panic` shows the slate whatever comes. Silence right after a synthetic picture repeats that picture;
        after HOLD_NS it is a stall, and a stall is a miss.
        """
        if result is not None and result.title != self._title:
            # Another identity is active: holding the old one would show the wrong person.
            self._title, self._last = result.title, None
        if settings.others != self._others:
            # Whoever was allowed in the picture is so no longer.
            self._others, self._last = settings.others, None
        if result is not None and result.pixels is not None:
            kind: Kind = "raw" if result.raw else "rest" if result.resting else "synthetic"
            made = Outgoing(letterbox(result.pixels, self._size), kind, result.may_hide_badge, result.covered)
            if not result.raw:
                self._last, self._last_ns = made, now_ns
            if not settings.panic:
                return made
        if settings.panic or (result is not None and result.others):
            return Outgoing(self._slate(), "card")
        choice = settings.on_miss
        if choice == "raw" and self._allow_raw and result is not None:
            return Outgoing(letterbox(result.frame.pixels, self._size), "raw", result.may_hide_badge)
        if choice == "blur" and result is not None:
            return Outgoing(letterbox(blurred_slate(result.frame.pixels), self._size), "blur", result.may_hide_badge)
        fresh = self._last is not None and now_ns - self._last_ns < HOLD_NS
        if self._last is not None and fresh and (choice in ("hold", "raw") or result is None):
            return replace(self._last, kind="hold")
        return Outgoing(self._slate(), "card")

    def _slate(self) -> Pixels:
        if self._title not in self._slates:
            self._slates = {self._title: slate(self._size, [self._title, "is not in the picture just now"])}
        return self._slates[self._title]


def check_allowed(settings: Settings, *, allow_raw: bool, badge_optional: bool) -> Settings:
    """The settings, if this run may use them. Raises ConfigError."""
    if settings.on_miss == "raw" and not allow_raw:
        raise ConfigError("on_miss = raw shows your own face: start with --allow-raw if you want that")
    if settings.opacity < 1 and not allow_raw:
        raise ConfigError(
            f"opacity = {settings.opacity:g} lets your own face shine through: start with --allow-raw if you want that"
        )
    if settings.badge == "off" and not badge_optional:
        raise ConfigError("badge = off is allowed for synthetic and self identities only: keep it on")
    return settings
