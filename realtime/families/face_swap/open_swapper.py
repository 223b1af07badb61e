"""From a bundle to an identity ready to be worn."""

from collections.abc import Callable
from contextlib import ExitStack

from realtime.errors import ModelError
from realtime.families.face_swap.autoencoder import FINE_FILE, Autoencoder, fine_head, own_wiring
from realtime.families.face_swap.dfm import dfm_wiring
from realtime.families.face_swap.effect import Swapper
from realtime.families.face_swap.skin_detail import DETAIL_FILE, open_detail
from realtime.inference.session import Session
from realtime.models.bundle import Bundle
from realtime.models.library import built_in_folder
from realtime.settings import Settings
from realtime.tracking.pose import HeadPose

_DEFAULTS = Settings()


def open_swapper(
    bundle: Bundle,
    *,
    provider: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    settings: Callable[[], Settings] = lambda: _DEFAULTS,
    open_session: Callable[..., Session] | None = None,
) -> Swapper:
    """The bundle's network, loaded and warm, behind the one call the engine knows.

    `settings` is asked at every frame for what may change while it runs (the morph factor). `open_session`
    stands in for `realtime.inference.ort.open_session`, which is the default. Raises ModelError for a bundle
    that nobody can wear, or whose network is not what its card says; nothing is left open then.
    """
    card = bundle.card
    if card.family != "swap":
        if card.family == "landmarks":
            why = "it finds faces and is nobody to wear: choose another (masquerade models)"
        elif card.family == "motion":
            why = "it moves a picture and is nobody to wear: use it live (masquerade run --model NAME --avatar PICTURE)"
        else:
            call = "masquerade run --model NAME --avatar PICTURE --sound mic"
            why = f"it moves lips and is nobody to wear: use it live ({call})"
        raise ModelError(f"model {card.name} cannot be worn: {why}")
    file = bundle.model
    opened = ExitStack()

    def network(name: str) -> Session:
        session = (open_session or _runtime())(
            bundle.path(name), provider=provider, precision=precision, threads=threads
        )
        opened.callback(session.close)
        return session

    with opened:
        session, fine = network(file), None
        if file == "swap.onnx":
            wiring = own_wiring(session, card)
            if FINE_FILE in card.files:
                fine = fine_head(network(FINE_FILE), card, session)
        else:
            wiring = dfm_wiring(session, card.name)
        detail = None
        if DETAIL_FILE in card.files:
            head = HeadPose(built_in_folder() / "face" / "pose.npz")
            detail = open_detail(bundle.path(DETAIL_FILE), head.canonical)
        worn = Autoencoder(
            session,
            wiring,
            title=card.title,
            face_type=card.input.face_type or "whole_face",
            coverage=card.input.coverage,
            morph=lambda: settings().morph,
            fine=fine,
            wants_fine=lambda: settings().variant == "fine",
            detail=detail,
        )
        opened.pop_all()
        return worn


def _runtime() -> Callable[..., Session]:
    from realtime.inference.ort import open_session  # heavy to import: only where a network is wanted

    return open_session
