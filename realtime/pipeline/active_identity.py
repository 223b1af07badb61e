"""Who is shown: chosen by name, loaded beside the running identity, taken over by the engine when ready."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from realtime.audio.delay_line import Speech
from realtime.config import Settings
from realtime.errors import ConfigError, ModelError
from realtime.families import family_of
from realtime.families.effect import Effect
from realtime.models.avatar import Avatar, StoredAvatar, read_avatar_card
from realtime.models.avatar_loading import MOST_AVATARS, Find, choose_avatars, ready_avatars
from realtime.models.bundle import Bundle
from realtime.models.library import AVATARS, face_folder, load_bundle
from realtime.threads import Closed, Slot

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Selection:
    """A verified bundle and verified avatars; nothing is loaded yet.

    `avatars` is empty for a swap model, and for a lip-sync model that makes the people of a video speak.
    """

    bundle: Bundle
    avatars: tuple[StoredAvatar, ...] = ()

    @property
    def avatar_names(self) -> tuple[str, ...]:
        return tuple(avatar.card.name for avatar in self.avatars)

    @property
    def name(self) -> str:
        return " ".join([self.bundle.name, *(["with", *self.avatar_names] if self.avatars else [])])

    @property
    def identity_kind(self) -> str:
        """Whose faces may be seen: the bundle's own kind, or those of all avatars."""
        kinds = sorted({avatar.card.identity.kind for avatar in self.avatars})
        return ", ".join(kinds) if kinds else self.bundle.card.identity.kind

    @property
    def may_hide_badge(self) -> bool:
        """True where the badge is the user's choice, whichever avatar is shown."""
        if self.avatars:
            return all(avatar.card.identity.may_hide_badge for avatar in self.avatars)
        if family_of(self.bundle.card).shows_source:
            return False  # the face is the video's, and no card says whose that is
        return self.bundle.card.identity.may_hide_badge

    def shown(self, settings: Settings) -> str | None:
        """The avatar that these settings show, of those ready; None where there are none."""
        return settings.avatar if settings.avatar in self.avatar_names else next(iter(self.avatar_names), None)

    def check(self, settings: Settings) -> None:
        """Raises ConfigError where the settings name an avatar that is not ready."""
        if settings.avatar is not None and settings.avatar not in self.avatar_names:
            known = ", ".join(self.avatar_names) or "none, as this model shows its own face"
            raise ConfigError(f"avatar = {settings.avatar!r} is not ready in this run: known are {known}")

    def same(self, other: "Selection") -> bool:
        """True where nothing has to be loaded to change from one to the other."""
        return (self.bundle.name, self.avatars) == (other.bundle.name, other.avatars)


def select_identity(model: str, avatar: str | None) -> Selection:
    """The bundle of that name or folder, and the avatars that `--avatar` names. Raises ConfigError, ModelError."""
    bundle = load_bundle(model)
    family = family_of(bundle.card)
    wanted = family.avatars == "required" or (family.avatars == "optional" and avatar is not None)
    return Selection(bundle, choose_avatars(avatar, figures=family.figures) if wanted else ())


def reselect(settings: Settings, now: Selection, *, model: str | None, avatar: str | None) -> Selection:
    """What `settings` ask for while `now` is shown; `model` and `avatar` are the run's own options.

    Avatars that are ready stay ready, and the one asked for joins them from the library, the oldest giving way where
    there are MOST_AVATARS. Raises ConfigError, ModelError for what is not there.
    """
    selection = select_identity(settings.model or model or now.bundle.name, avatar)
    if not selection.avatars:
        return selection
    if now.bundle.name == selection.bundle.name:
        selection = replace(selection, avatars=tuple(ready for ready in now.avatars if _is_as_it_was(ready)))
    if settings.avatar is None or settings.avatar in selection.avatar_names:
        return selection
    return replace(selection, avatars=(*selection.avatars, AVATARS.find(settings.avatar))[-MOST_AVATARS:])


def _is_as_it_was(avatar: StoredAvatar) -> bool:
    """False for an avatar that was removed, or whose joints were moved."""
    try:
        return read_avatar_card(avatar.folder) == avatar.card
    except ModelError:
        return False


@dataclass(frozen=True, slots=True, eq=False)
class ActiveIdentity:
    """A selection with its effect, loaded and warm."""

    selection: Selection
    effect: Effect


def open_effect(
    selection: Selection,
    *,
    provider: str,
    precision: str,
    find: Find | None = None,
    speech: Speech | None = None,
    filmed: bool = True,
) -> Effect:
    """The selection's effect, loaded and warm. `find` stands in for a tracker of the avatars' faces.

    `speech`: the voice that moves a mouth; not owned. `filmed`: somebody may be in the frames. Raises MasqueradeError.
    """
    card = selection.bundle.card
    family = family_of(card)
    if family.open is None:
        raise ModelError(f"model {card.name} cannot be shown: {family.hint}")
    avatars: Sequence[Avatar] = ()
    if selection.avatars:
        avatars = _with_faces(selection, find) if family.needs_faces(card) else ready_avatars(selection.avatars, None)
    return family.open(selection.bundle, avatars, speech=speech, filmed=filmed, provider=provider, precision=precision)


def _with_faces(selection: Selection, find: Find | None) -> list[Avatar]:
    if find is not None:
        return ready_avatars(selection.avatars, find)
    from realtime.tracking.tracker import Tracker

    with closing(Tracker(face_folder(), provider="cpu", faces=4)) as tracker:  # the largest of up to four is taken
        return ready_avatars(selection.avatars, tracker.find)


class IdentitySwitch:
    """Loads another identity while the active one goes on; the engine's thread takes it when it is ready.

    `load` makes a selection's effect; where it cannot, `failed` is called and the active identity stays. `active` is
    written by the thread that calls `take`; everything else may be called from any thread.
    """

    def __init__(
        self, active: ActiveIdentity, load: Callable[[Selection], Effect], failed: Callable[[], None] = lambda: None
    ) -> None:
        self.active = active
        self.wanted = active.selection
        self._load, self._failed = load, failed
        self._requests: Slot[Selection] = Slot()
        self._ready: Slot[ActiveIdentity] = Slot()

    @property
    def changing(self) -> str | None:
        """The name of the bundle on its way in; None where nothing is."""
        return None if self.wanted is self.active.selection else self.wanted.bundle.name

    def request(self, selection: Selection) -> None:
        """Load this one next; a request that nobody has begun with is replaced."""
        self.wanted = selection
        self._requests.put(selection)

    def work(self) -> None:
        """Load what is requested, until `unblock`: the work of a thread."""
        try:
            while True:
                self.load_next(None)
        except Closed:
            pass

    def load_next(self, timeout_s: float | None = 0.0) -> None:
        """Load one request, waiting for it; with 0 only one that is there. Raises Closed after `unblock`."""
        selection = self._requests.get(timeout_s)
        if selection is None:
            return
        try:
            loaded = ActiveIdentity(selection, self._load(selection))
        except Exception as error:  # whatever it is, the active identity goes on
            log.warning("%s; the active identity stays on", error)
            if self.wanted is selection:
                self.wanted = self.active.selection
                self._failed()
            return
        unread = self._ready.put(loaded)
        if unread is not None:
            unread.effect.close()

    def take(self) -> ActiveIdentity | None:
        """The identity that became ready, now the active one; None where there is none. The caller closes the old."""
        try:
            ready = self._ready.get(0.0)
        except Closed:
            return None
        if ready is not None:
            self.active = ready
        return ready

    def unblock(self) -> None:
        self._requests.close()

    def close(self) -> None:
        """Close the active effect, and one that was loaded and never taken. May be called twice."""
        self._requests.close()
        self.active.effect.close()
        self._ready.close()
        try:
            if (unread := self._ready.get(0.0)) is not None:
                unread.effect.close()
        except Closed:
            pass
