"""Made-up moments of a run."""

from benchmarks.timings import Trace

MS = 1_000_000
PERIOD = 33 * MS


def a_trace(frames: int, *, latency_ms: int = 20, lost: tuple[int, ...] = ()) -> Trace:
    """Frames due every 33 ms that all leave after the same time, except the `lost` ones."""
    trace = Trace()
    millis = {"capture": 1, "detect": 6, "align": 1, "swap": 5, "blend": 2, "networks": 9}
    spans = {name: value * MS for name, value in millis.items()}
    for seq in range(frames):
        due = seq * PERIOD
        trace.note_due(seq, due)
        if seq in lost:
            continue
        trace.note_work(seq, spans, 1, False)
        # 15 ms in the stages, 2 ms until the output thread is there.
        trace.note_show(seq, due + 17 * MS, due + latency_ms * MS, "synthetic")
    return trace
