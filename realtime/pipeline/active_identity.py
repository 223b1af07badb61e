"""Who is worn: a bundle and, for models that move a still picture or make it speak, the avatars they show."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from realtime.audio.delay_line import Speech
from realtime.errors import ConfigError
from realtime.families.effect import Effect
from realtime.families.face_swap.effect import FaceSwap
from realtime.families.motion.canvas import read_background
from realtime.models.avatar import Avatar
from realtime.models.avatar_loading import Find, ready_avatars, wanted_avatars
from realtime.models.bundle import Bundle
from realtime.models.card import may_hide_badge
from realtime.models.library import ShelvedAvatar, load_bundle
from realtime.settings import Settings

MOST_FACES = 4
"""So many are told apart in an avatar's picture; the largest is taken."""


@dataclass(frozen=True, slots=True)
class ActiveIdentity:
    """A verified bundle and verified avatars; nothing is loaded yet.

    `avatars` is empty for a swap model, and for a lip-sync model that makes the people of a video speak.
    """

    bundle: Bundle
    avatars: tuple[ShelvedAvatar, ...] = ()

    @property
    def avatar_names(self) -> tuple[str, ...]:
        """What the avatars are called, in their order."""
        return tuple(avatar.card.name for avatar in self.avatars)

    @property
    def name(self) -> str:
        """What a file's metadata call it."""
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
            return all(avatar.card.identity.kind in ("synthetic", "self") for avatar in self.avatars)
        if self.bundle.card.family == "lip-sync":
            return False  # the face is the video's, and no card says whose that is
        return may_hide_badge(self.bundle.card)

    def shown(self, settings: Settings) -> str | None:
        """The avatar that these settings show, of those ready; None where there are none."""
        return settings.avatar if settings.avatar in self.avatar_names else next(iter(self.avatar_names), None)

    def check(self, settings: Settings) -> None:
        """Raises ConfigError where the settings name an avatar that is not ready."""
        if settings.avatar is not None and settings.avatar not in self.avatar_names:
            known = ", ".join(self.avatar_names) or "none, as this model shows its own face"
            raise ConfigError(f"avatar = {settings.avatar!r} is not ready in this run: known are {known}")


def find_role(model: str, avatar: str | None) -> ActiveIdentity:
    """The bundle of that name or folder, and what `--avatar` says. Raises ConfigError, ModelError."""
    bundle = load_bundle(model)
    family = bundle.card.family
    wanted = family == "motion" or (family == "lip-sync" and avatar is not None)
    return ActiveIdentity(bundle, wanted_avatars(avatar) if wanted else ())


def open_character(
    role: ActiveIdentity,
    *,
    provider: str,
    precision: str,
    settings: Callable[[], Settings],
    find: Find | None = None,
    speech: Speech | None = None,
) -> Effect:
    """The role, loaded and warm. `find` stands in for a tracker of the avatars' faces. Raises MasqueradeError.

    `speech`: what a lip-sync model says; not owned.
    """
    bundle = role.bundle
    if bundle.card.family == "lip-sync":
        from realtime.families.lip_sync.open_model import open_lips

        if speech is None:
            raise ConfigError(f"{bundle.name} is a lip-sync model and has no voice: give one with --sound mic or FILE")
        ready = _with_faces(role, find) if role.avatars else []
        return open_lips(bundle, speech, ready, background=read_background, provider=provider, precision=precision)
    if bundle.card.family != "motion":
        from realtime.families.face_swap.open_swapper import open_swapper

        return FaceSwap(open_swapper(bundle, provider=provider, precision=precision, settings=settings))
    from realtime.families.motion.effect import ReenactmentEffect
    from realtime.families.motion.open_model import open_puppet

    puppet = open_puppet(bundle, provider=provider, precision=precision)
    try:
        avatars = _with_faces(role, find) if puppet.needs_face else ready_avatars(role.avatars, None)
        return ReenactmentEffect(puppet, avatars, background=read_background)
    except BaseException:
        puppet.close()
        raise


def _with_faces(role: ActiveIdentity, find: Find | None) -> list[Avatar]:
    """The role's avatars and where their faces are."""
    if find is not None:
        return ready_avatars(role.avatars, find)
    from realtime.tracking.tracker import Tracker

    with closing(Tracker(provider="cpu", faces=MOST_FACES)) as tracker:
        return ready_avatars(role.avatars, tracker.find)
