"""The commands under `masquerade bench`; `python -m benchmarks` is the same."""

import sys

import click

from benchmarks.backends import backends
from benchmarks.blend import blend_cost
from benchmarks.clapper import clapper
from benchmarks.drive_command import drive_command
from benchmarks.latency import latency
from benchmarks.page_command import page
from benchmarks.quality import quality


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def bench() -> None:
    """Measure masquerade: latency, runtimes, quality, long drives, the page, and the cost of the blend."""


bench.add_command(latency)
bench.add_command(backends)
bench.add_command(quality)
bench.add_command(blend_cost, "blend")
bench.add_command(drive_command)
bench.add_command(clapper)
bench.add_command(page)

if __name__ == "__main__":
    from realtime.cli import main

    main(["bench", *sys.argv[1:]])
