"""What leaves where there is no synthetic picture."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import SIZE, pixels

from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.frame import Frame
from realtime.pipeline.engine import Result
from realtime.pipeline.fallback import HOLD_NS, Fallback, Outgoing, check_allowed

RAW = 17


class Fixed:
    """A fallback with settings that stay."""

    def __init__(self, on_miss: str = "hold", *, allow_raw: bool = False, size: tuple[int, int] = SIZE) -> None:
        self.settings = Settings.model_validate({"on_miss": on_miss})
        self._fallback = Fallback(size, "Ada", allow_raw=allow_raw)

    def picture(self, result: Result | None, now_ns: int) -> Outgoing:
        return self._fallback.picture(result, now_ns, self.settings)


def result(value: int | None, title: str = "Ada") -> Result:
    frame = Frame(pixels(RAW), 0, 0)
    return Result(frame, title, None if value is None else pixels(value))


def test_before_the_first_synthetic_picture_the_card_goes_out() -> None:
    for miss in (None, result(None)):
        out = Fixed().picture(miss, 0)
        assert out.kind == "card"
        assert out.guarded
        assert not np.array_equal(out.pixels, pixels(RAW))


def test_a_miss_holds_the_last_synthetic_picture_for_a_second_then_shows_the_card() -> None:
    fallback = Fixed()
    assert fallback.picture(result(200), 0).kind == "synthetic"
    held = fallback.picture(result(None), HOLD_NS - 1)
    assert held.kind == "hold"
    assert (held.pixels == 200).all()
    story = ((result(None), HOLD_NS), (result(201), HOLD_NS + 1), (None, HOLD_NS + 2), (None, 3 * HOLD_NS))
    assert [fallback.picture(*now).kind for now in story] == ["card", "synthetic", "hold", "card"]


def test_card_and_blur_as_chosen() -> None:
    fallback = Fixed("card")
    fallback.picture(result(200), 0)
    assert fallback.picture(result(None), 1).kind == "card"
    noisy = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    blurred = Fixed("blur").picture(Result(Frame(noisy.copy(), 0, 0), "Ada", None), 0)
    assert blurred.kind == "blur"
    assert blurred.guarded
    # No detail of the user survives: what is left varies far less than what came in.
    assert blurred.pixels.std() < noisy.std() / 3


def test_raw_needs_both_the_setting_and_the_permission() -> None:
    assert Fixed("raw").picture(result(None), 0).kind == "card"
    out = Fixed("raw", allow_raw=True).picture(result(None), 0)
    assert out.kind == "raw"
    assert (out.pixels == RAW).all()
    assert Fixed("raw", allow_raw=True).picture(None, 0).kind == "card"


def test_another_identity_is_never_stood_in_for_by_the_old_one() -> None:
    fallback = Fixed()
    fallback.picture(result(200, "Ada"), 0)
    assert fallback.picture(result(None, "Bo"), 1).kind == "card"


def test_what_leaves_has_the_sinks_size() -> None:
    fallback = Fixed(size=(80, 80))
    assert fallback.picture(result(200), 0).pixels.shape == (80, 80, 3)
    assert fallback.picture(None, 5 * HOLD_NS).pixels.shape == (80, 80, 3)


def test_what_a_run_may_not_do_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="--allow-raw"):
        check_allowed(Settings(on_miss="raw"), allow_raw=False, badge_optional=True)
    with pytest.raises(ConfigError, match=r"opacity = 0\.9 lets your own face shine through"):
        check_allowed(Settings(opacity=0.9), allow_raw=False, badge_optional=True)
    with pytest.raises(ConfigError, match="badge = off"):
        check_allowed(Settings(badge="off"), allow_raw=True, badge_optional=False)
    assert check_allowed(Settings(on_miss="raw"), allow_raw=True, badge_optional=False).on_miss == "raw"


def test_an_avatar_at_rest_is_synthetic_and_said_to_rest() -> None:
    out = Fixed().picture(Result(Frame(pixels(RAW), 0, 0), "Ada", pixels(200), resting=True), 0)
    assert out.kind == "rest"
    assert not out.guarded
    assert (out.pixels == 200).all()


@pytest.mark.parametrize("on_miss", ["hold", "blur", "raw"])
def test_panic_shows_the_card_whatever_else_is_set_and_comes(on_miss: str) -> None:
    fallback = Fixed(on_miss, allow_raw=True)
    assert fallback.picture(result(200), 0).kind == "synthetic"
    fallback.settings = fallback.settings.model_copy(update={"panic": True})
    for comes in (result(200), result(None), None, Result(Frame(pixels(RAW), 0, 0), "Ada", pixels(200), resting=True)):
        out = fallback.picture(comes, 1)
        assert out.kind == "card"
        assert out.guarded
        assert not (out.pixels == 200).all()
        assert not (out.pixels == RAW).all()
    fallback.settings = fallback.settings.model_copy(update={"panic": False})
    assert fallback.picture(result(201), 2).kind == "synthetic"


def test_what_was_made_during_a_panic_is_not_held_long_after_it() -> None:
    fallback = Fixed()
    fallback.settings = Settings(panic=True)
    fallback.picture(result(200), 0)
    fallback.settings = Settings()
    assert fallback.picture(None, HOLD_NS).kind == "card"


def test_who_must_keep_the_badge_keeps_it_while_held() -> None:
    fallback = Fixed()
    assert not fallback.picture(result(200), 0).may_hide_badge
    held = fallback.picture(result(None), 1)
    assert (held.kind, held.may_hide_badge) == ("hold", False)
    free = Result(Frame(pixels(RAW), 0, 0), "Ada", pixels(200), may_hide_badge=True)
    assert fallback.picture(free, 2).may_hide_badge


def test_another_face_brings_the_slate_at_once_where_that_was_asked_for() -> None:
    fallback = Fixed()
    fallback.picture(result(200), 0)
    assert fallback.picture(replace(result(None), others=True), 1).kind == "card"


def test_whoever_was_allowed_in_a_picture_is_not_held_when_that_is_over() -> None:
    fallback = Fixed()
    fallback.settings = Settings(others="show")
    fallback.picture(result(200), 0)
    assert fallback.picture(result(None), 1).kind == "hold"
    fallback.settings = Settings(others="cover")
    assert fallback.picture(result(None), 2).kind == "card"


def test_a_picture_that_the_guard_marks_is_raw_and_never_held() -> None:
    fallback = Fixed(allow_raw=True)
    fallback.picture(replace(result(199), covered=2), 0)
    assert fallback.picture(replace(result(200), raw=True), 1).kind == "raw"
    held = fallback.picture(None, 2)
    assert (held.kind, held.covered) == ("hold", 2)
    assert (held.pixels == 199).all()
