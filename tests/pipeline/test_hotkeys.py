from realtime.pipeline.hotkeys import changed
from realtime.settings import Settings


def test_keys_change_the_settings() -> None:
    start = Settings()
    mirrored = changed(start, "m")
    assert mirrored is not None
    assert mirrored.mirror
    colour = changed(start, "c")
    assert colour is not None
    assert colour.color_transfer == "idt"
    softer = changed(start, "+")
    assert softer is not None
    assert softer.mask_blur == start.mask_blur + 5
    miss = changed(start, "h")
    assert miss is not None
    assert miss.on_miss == "card"
    assert changed(start, "x") is None


def test_no_key_leads_to_the_raw_face() -> None:
    settings = Settings()
    for _ in range(10):
        after = changed(settings, "h")
        assert after is not None
        settings = after
        assert settings.on_miss != "raw"


def test_the_mask_blur_stays_in_range() -> None:
    settings = Settings(mask_blur=0)
    after = changed(settings, "-")
    assert after is not None
    assert after.mask_blur == 0


def test_keys_choose_among_avatars() -> None:
    names = ("ann", "bob", "cleo")
    settings = Settings()
    worn = []
    for key in "aaaA1329":
        settings = changed(settings, key, names) or settings
        worn.append(settings.avatar)
    assert worn == ["bob", "cleo", "ann", "cleo", "ann", "cleo", "bob", "bob"]  # there is no ninth
    assert changed(settings, "a") is None
    assert changed(settings, "²", names) is None


def test_a_key_takes_this_pose_as_neutral_and_another_changes_what_moves() -> None:
    after = changed(Settings(), "r")
    assert after is not None
    assert after.reference == 1
    moves = changed(after, "e")
    assert moves is not None
    assert moves.region == "expression"


def test_the_panic_key_shows_the_card_and_takes_it_back() -> None:
    after = changed(Settings(), "p")
    assert after is not None
    assert after.panic
    again = changed(after, "p")
    assert again is not None
    assert not again.panic
