"""The commands under `masquerade bench`; `python -m benchmarks` is the same.

Further ones (compare, scaling, soak) are a module each beside `latency.py`, added to the group below.
"""

import sys

import click

from benchmarks.backends import backends
from benchmarks.blend import blend_cost
from benchmarks.latency import latency
from benchmarks.leak.command import leak
from benchmarks.leak.faults import faults
from benchmarks.quality import quality


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def bench() -> None:
    """Measure masquerade: latency, runtimes, quality, the cost of the blend, and whether a face leaks."""


bench.add_command(latency)
bench.add_command(backends)
bench.add_command(quality)
bench.add_command(blend_cost, "blend")
bench.add_command(leak)
bench.add_command(faults)

if __name__ == "__main__":
    from realtime.cli.app import main

    main(["bench", *sys.argv[1:]])
