"""A source that ends when something else does."""

from fakes import FakeSource, pixels

from realtime.capture.wrappers import Until


def test_it_ends_where_it_is_over_and_stays_so() -> None:
    inner = FakeSource([pixels()] * 5)
    source = Until(inner, lambda frame: frame.seq >= 3)
    assert (source.name, source.size, source.rate_hz, source.live, source.state) == (
        inner.name, inner.size, inner.rate_hz, inner.live, "ok",
    )  # fmt: skip
    seen = [frame.seq for frame in iter(source.read, None)]
    assert seen == [0, 1, 2]
    assert source.read() is None  # frame 4 is not shown
    source.close()
    assert inner.closed == 1


def test_it_ends_with_its_source_and_when_unblocked() -> None:
    source = Until(FakeSource([pixels()] * 2), lambda frame: False)
    assert source.read() is not None
    source.unblock()
    assert source.read() is None
