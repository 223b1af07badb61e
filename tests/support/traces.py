"""Made-up moments of a run."""

from benchmarks.timings import Shown, Trace, Worked

MS = 1_000_000
PERIOD = 33 * MS


def a_trace(frames: int, *, latency_ms: int = 20, lost: tuple[int, ...] = ()) -> Trace:
    """Frames due every 33 ms that all leave after the same time, except the `lost` ones."""
    trace = Trace()
    spans = {
        "capture": 1 * MS,
        "detect": 6 * MS,
        "align": 1 * MS,
        "swap": 5 * MS,
        "blend": 2 * MS,
        "networks": 9 * MS,
    }
    for seq in range(frames):
        due = seq * PERIOD
        trace.note_due(seq, due)
        if seq in lost:
            continue
        trace.note_work(seq, Worked(spans, 1, False))
        # 15 ms in the stages, 2 ms until the output thread is there.
        trace.note_show(Shown(seq, due + 17 * MS, due + latency_ms * MS, "synthetic"))
    return trace
