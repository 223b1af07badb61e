"""From a bundle and a voice to somebody who speaks."""

from pathlib import Path

import pytest
from fakes import pixels
from puppets import an_avatar
from test_lip_sync_effect import Says
from test_lip_sync_network import Lips, lip_bundle

from realtime.errors import ConfigError
from realtime.families.lip_sync.effect import LipSync, TalkingAvatar, open_lips
from realtime.models.avatar import Avatar


def test_an_avatar_speaks_or_the_picture_itself(tmp_path: Path) -> None:
    bundle = lip_bundle(tmp_path / "eve")
    for avatars, kind, title in (([an_avatar("ann", 90)], TalkingAvatar, "Ann"), ([], LipSync, "Eve")):
        script = Lips()
        character = open_lips(bundle, avatars, speech=Says(), open_session=script.open)
        assert isinstance(character, kind)
        assert character.title == title
        character.close()
        assert script.closed


def test_an_avatar_without_a_face_leaves_nothing_open(tmp_path: Path) -> None:
    script = Lips()
    tree = Avatar("tree", "Tree", "synthetic", pixels())
    with pytest.raises(ConfigError, match="tree"):
        open_lips(lip_bundle(tmp_path / "eve"), [tree], speech=Says(), open_session=script.open)
    assert script.closed
