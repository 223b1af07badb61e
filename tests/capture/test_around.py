"""A source around another is as the other is."""

import numpy as np

from realtime.capture.wrappers import AroundSource
from realtime.frame import Frame


class Noted:
    """Three frames, and what was asked of it."""

    name, size, rate_hz, live, state = "noted", (8, 6), 12.5, True, "waiting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self) -> Frame | None:
        self.asked.append("read")
        number = len(self.asked) - 1
        return Frame(np.zeros((6, 8, 3), np.uint8), number, 0) if number < 3 else None

    def unblock(self) -> None:
        self.asked.append("unblock")

    def close(self) -> None:
        self.asked.append("close")


def test_everything_is_the_inner_sources() -> None:
    inner = Noted()
    around = AroundSource(inner)
    assert (around.name, around.size, around.rate_hz, around.live, around.state) == (
        "noted",
        (8, 6),
        12.5,
        True,
        "waiting",
    )
    read = [around.read() for _ in range(4)]
    assert [frame.seq if frame is not None else None for frame in read] == [0, 1, 2, None]
    around.unblock()
    around.close()
    assert inner.asked == ["read"] * 4 + ["unblock", "close"]
