"""The families of models: `FAMILIES` has a record of each, `family_of` the one that a card names."""

from collections.abc import Mapping
from types import MappingProxyType

from realtime.families.effect import Family
from realtime.families.face_swap import AVATAR_FACE, FACE_SWAP
from realtime.families.figure import FIGURE
from realtime.families.lip_sync import LIP_SYNC
from realtime.families.motion import MOTION
from realtime.models.card import ModelCard

LANDMARKS = Family("landmarks", "it finds faces and is no identity: choose another (masquerade models)")

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {f.name: f for f in (FACE_SWAP, AVATAR_FACE, MOTION, LIP_SYNC, FIGURE, LANDMARKS)}
)

IDENTITIES = tuple(family.name for family in FAMILIES.values() if family.open is not None)
"""The families that somebody can be shown with; the others are parts of masquerade."""


def family_of(card: ModelCard) -> Family:
    """The record of a card's family."""
    return FAMILIES[card.family]
