"""Calibration faces in the form that each family's networks take."""

from collections.abc import Mapping

import numpy as np
import pytest

from export.calibration import Moment, faces_for_calibration
from export.int8_feeds import lip_sync_feeds, motion_feeds, swap_feeds
from realtime.inference.session import Array

INPUT = {"size": 48, "face_type": "whole_face", "colour": "BGR", "layout": "NCHW", "range": "0..1"}


@pytest.fixture(scope="module")
def moments() -> tuple[Moment, ...]:
    return faces_for_calibration(None).held_out[:3]


class Echo:
    """Two networks in one: what they give tells which picture they were fed."""

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        ((name, picture),) = feed.items()
        mark = np.full((1, 2, 2), picture.mean(), np.float32)
        return {"keypoints": mark} | ({"features": picture} if name == "source" else {})


def test_a_swap_network_is_fed_what_it_asks_for(moments: tuple[Moment, ...]) -> None:
    plain = swap_feeds(moments, INPUT, ("face",), light=False)
    assert [set(feed) for feed in plain] == [{"face"}] * 3
    told = swap_feeds(moments, INPUT, ("face", "pose", "blendshapes", "lips", "morph"), light=True)
    assert len(told) == 6
    assert {name: value.shape for name, value in told[0].items()} == {
        "face": (1, 3, 48, 48),
        "pose": (1, 3),
        "blendshapes": (1, 52),
        "lips": (1, 3),
        "morph": (1,),
    }
    assert {float(feed["morph"][0]) for feed in told} == {1.0, 0.75, 0.5, 0.25}
    np.testing.assert_array_equal(told[0]["face"], plain[0]["face"])
    assert np.abs(told[1]["face"] - plain[0]["face"]).mean() > 0.005  # the same face in another light
    assert all(value.dtype == np.float32 and value.min() >= 0 for value in (feed["face"] for feed in told))
    red = swap_feeds(moments, {**INPUT, "colour": "RGB", "layout": "NHWC"}, ("face",), light=False)
    np.testing.assert_array_equal(red[0]["face"][0, :, :, ::-1].transpose(2, 0, 1), plain[0]["face"][0])


def test_each_avatar_is_moved_by_another_picture(moments: tuple[Moment, ...]) -> None:
    feeds = motion_feeds(moments, {**INPUT, "colour": "RGB"}, Echo(), Echo(), light=False)
    assert all(set(feed) == {"features", "source_keypoints", "driving_keypoints"} for feed in feeds)
    means = [float(feed["features"].mean()) for feed in feeds]
    assert [float(feed["source_keypoints"][0, 0, 0]) for feed in feeds] == pytest.approx(means)
    assert [float(feed["driving_keypoints"][0, 0, 0]) for feed in feeds] == pytest.approx([*means[1:], means[0]])


def test_a_lip_sync_network_sees_the_lower_half_black_and_a_sound(moments: tuple[Moment, ...]) -> None:
    feeds = lip_sync_feeds(moments, INPUT, light=True)
    assert len(feeds) == 6
    for feed in feeds:
        upper, whole = feed["faces"][:, :3], feed["faces"][:, 3:]
        np.testing.assert_array_equal(upper[:, :, :24], whole[:, :, :24])
        assert not upper[:, :, 24:].any()
        assert whole[:, :, 24:].any()
        assert feed["mel"].shape == (1, 1, 80, 16)
        assert np.abs(feed["mel"]).max() <= 4
    assert len({feed["mel"].tobytes() for feed in feeds}) == 6
