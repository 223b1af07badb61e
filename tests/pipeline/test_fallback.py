import numpy as np
import pytest
from fakes import SIZE, pixels

from realtime.errors import ConfigError
from realtime.frame import Frame
from realtime.pipeline.engine import Result
from realtime.pipeline.fallback import HOLD_NS, Fallback, check_allowed
from realtime.settings import Settings

RAW = 17


def guard(on_miss: str = "hold", *, allow_raw: bool = False) -> Fallback:
    settings = Settings.model_validate({"on_miss": on_miss})
    return Fallback(SIZE, "Ada", lambda: settings, allow_raw=allow_raw)


def result(value: int | None, title: str = "Ada") -> Result:
    frame = Frame(pixels(RAW), 0, 0)
    return Result(frame, title, None if value is None else pixels(value))


def test_before_the_first_synthetic_picture_the_card_goes_out() -> None:
    for miss in (None, result(None)):
        out = guard().picture(miss, 0)
        assert out.kind == "card"
        assert out.guarded
        assert not np.array_equal(out.pixels, pixels(RAW))


def test_a_miss_holds_the_last_synthetic_picture_for_a_second_then_shows_the_card() -> None:
    g = guard()
    assert g.picture(result(200), 0).kind == "synthetic"
    held = g.picture(result(None), HOLD_NS - 1)
    assert held.kind == "hold"
    assert (held.pixels == 200).all()
    assert g.picture(result(None), HOLD_NS).kind == "card"
    assert g.picture(result(201), HOLD_NS + 1).kind == "synthetic"
    assert g.picture(None, HOLD_NS + 2).kind == "hold"


def test_a_stalled_engine_is_a_miss() -> None:
    g = guard()
    g.picture(result(200), 0)
    assert g.picture(None, HOLD_NS // 2).kind == "hold"
    assert g.picture(None, 2 * HOLD_NS).kind == "card"


def test_card_and_blur_as_chosen() -> None:
    g = guard("card")
    g.picture(result(200), 0)
    assert g.picture(result(None), 1).kind == "card"
    noisy = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    blurred = guard("blur").picture(Result(Frame(noisy.copy(), 0, 0), "Ada", None), 0)
    assert blurred.kind == "blur"
    assert blurred.guarded
    # No detail of the user survives: what is left varies far less than what came in.
    assert blurred.pixels.std() < noisy.std() / 3


def test_raw_needs_both_the_setting_and_the_permission() -> None:
    assert guard("raw").picture(result(None), 0).kind == "card"
    out = guard("raw", allow_raw=True).picture(result(None), 0)
    assert out.kind == "raw"
    assert (out.pixels == RAW).all()
    assert guard("raw", allow_raw=True).picture(None, 0).kind == "card"


def test_another_identity_is_never_stood_in_for_by_the_old_one() -> None:
    g = guard()
    g.picture(result(200, "Ada"), 0)
    assert g.picture(result(None, "Bo"), 1).kind == "card"


def test_what_leaves_has_the_sinks_size() -> None:
    g = Fallback((80, 80), "Ada", Settings, allow_raw=False)
    assert g.picture(result(200), 0).pixels.shape == (80, 80, 3)
    assert g.picture(None, 5 * HOLD_NS).pixels.shape == (80, 80, 3)


def test_what_a_run_may_not_do_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="--allow-raw"):
        check_allowed(Settings(on_miss="raw"), allow_raw=False, badge_optional=True)
    with pytest.raises(ConfigError, match=r"opacity = 0\.9 lets your own face shine through"):
        check_allowed(Settings(opacity=0.9), allow_raw=False, badge_optional=True)
    with pytest.raises(ConfigError, match="badge = off"):
        check_allowed(Settings(badge="off"), allow_raw=True, badge_optional=False)
    assert check_allowed(Settings(on_miss="raw"), allow_raw=True, badge_optional=False).on_miss == "raw"


def test_a_character_at_rest_is_synthetic_and_said_to_rest() -> None:
    out = guard().picture(Result(Frame(pixels(RAW), 0, 0), "Ada", pixels(200), resting=True), 0)
    assert out.kind == "rest"
    assert not out.guarded
    assert (out.pixels == 200).all()


@pytest.mark.parametrize("on_miss", ["hold", "blur", "raw"])
def test_panic_shows_the_card_whatever_else_is_set_and_comes(on_miss: str) -> None:
    now = Settings.model_validate({"on_miss": on_miss})
    g = Fallback(SIZE, "Ada", lambda: now, allow_raw=True)
    assert g.picture(result(200), 0).kind == "synthetic"
    now = now.model_copy(update={"panic": True})
    for comes in (result(200), result(None), None, Result(Frame(pixels(RAW), 0, 0), "Ada", pixels(200), resting=True)):
        out = g.picture(comes, 1)
        assert out.kind == "card"
        assert out.guarded
        assert not (out.pixels == 200).all()
        assert not (out.pixels == RAW).all()
    now = now.model_copy(update={"panic": False})
    assert g.picture(result(201), 2).kind == "synthetic"


def test_what_was_made_during_a_panic_is_not_held_long_after_it() -> None:
    now = Settings(panic=True)
    g = Fallback(SIZE, "Ada", lambda: now)
    g.picture(result(200), 0)
    now = Settings()
    assert g.picture(None, HOLD_NS).kind == "card"
