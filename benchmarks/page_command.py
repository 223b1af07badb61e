"""`masquerade bench page`: how late the page shows a picture, what it costs, and what a crowd at its door does.

One run of the product's own loop, in which what is compared takes turns, so that whatever else the machine does falls
on both.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.page_browser import Browser, open_browser
from benchmarks.page_job import beside_a_job
from benchmarks.page_numbers import READ
from benchmarks.page_run import PageRun
from benchmarks.stamp import one_line, stamp
from realtime.config import RunConfig, make_config
from realtime.errors import DeviceError
from realtime.models import built_in_folder
from realtime.threads import Crew

SCHEMA = 1
SETTLE_S = 1.0
"""Left out after every change: pages load, threads wake."""

GOALS = {"delay_ms_p95": 100.0, "fps_kept_open": 0.9, "fps_kept_attacked": 0.95, "fps_kept_job": 0.9}
START_S = 60.0
COSTS = {
    "cost": "a call sees it and the loop is short of time",
    "cost_alone": "only the page sees it and the loop is short of time",
    "cost_as_due": "a call sees it, at the rate asked for",
}
KINDS = ("delay", *COSTS, "attack", "job")


@click.command()
@click.option("--source", help="A video file; the bundled clip.")
@click.option("--model", default="ada", show_default=True)
@click.option("--size", default="1280x720", show_default=True)
@click.option(
    "--fps", type=float, default=30.0, show_default=True, help="How often a frame is due, for delay and crowd."
)
@click.option("--provider", default="auto", show_default=True)
@click.option("--rounds", type=click.IntRange(2), default=8, show_default=True, help="Turns of each kind.")
@click.option("--seconds", type=click.FloatRange(1), default=5.0, show_default=True, help="Length of a turn.")
@click.option("--crowd", type=click.IntRange(1), default=1000, show_default=True, help="Requests at once.")
@click.option("--only", multiple=True, type=click.Choice(KINDS), help="Only this, of all that is measured; repeatable.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
def page(
    source: str | None,
    rounds: int,
    seconds: float,
    crowd: int,
    json_file: Path | None,
    fps: float,
    only: tuple[str, ...],
    **flags: str,
) -> None:
    """The delay of the page's picture, and what the page, an attack and a file being made cost the loop."""
    options = {**flags, "source": source or str(built_in_folder() / "clips" / "driving.mp4"), "loop": True}
    config = make_config({}, {**options, "output": ("page",), "pace": "live"})
    # `null` stands for a call that sees the picture, too: only then does the page give way to it.
    called = make_config({}, {**options, "output": ("page", "null"), "pace": "live"})
    where = stamp()
    before = os.environ.get("MASQUERADE_HOME")
    with tempfile.TemporaryDirectory() as home:
        os.environ["MASQUERADE_HOME"] = home  # nobody's last look is measured, or changed
        try:
            kinds: dict[str, Callable[[], dict[str, Any]]] = {
                "delay": lambda: turned(PageRun(config, fps), lambda run: delays(run, rounds * seconds)),
                # More frames are due than can be worked off: whatever the page takes is missing then.
                "cost": lambda: turned(PageRun(called, 4 * fps), lambda run: cost(run, rounds, seconds)),
                "cost_alone": lambda: turned(PageRun(config, 4 * fps), lambda run: cost(run, rounds, seconds)),
                "cost_as_due": lambda: turned(PageRun(called, fps), lambda run: cost(run, rounds, seconds)),
                "attack": lambda: turned(PageRun(config, fps), lambda run: crowds(run, rounds, seconds, crowd)),
                "job": lambda: turned(PageRun(called, fps), lambda run: jobs(run, rounds, seconds, called)),
            }
            figures = {kind: measure() for kind, measure in kinds.items() if kind in (only or KINDS)}
        finally:
            if before is None:
                del os.environ["MASQUERADE_HOME"]
            else:
                os.environ["MASQUERADE_HOME"] = before
    asked = {"rounds": rounds, "seconds": seconds, "crowd": crowd, "fps": fps, **flags}
    report = {"schema": SCHEMA, "kind": "page", "stamp": where, "asked": asked, "goals": GOALS, **figures}
    click.echo("\n".join(told(report)))
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def turned(run: PageRun, measure: Any) -> dict[str, Any]:
    """What `measure(run)`, a coroutine, finds while the run turns. Raises what ended the run."""

    async def measured() -> dict[str, Any]:
        started = time.monotonic()
        while run.fresh < 10:
            if run.failed is not None:
                raise run.failed
            if time.monotonic() - started > START_S:
                raise DeviceError("the run gave no pictures within a minute")
            await asyncio.sleep(0.1)
        found: dict[str, Any] = await measure(run)
        return found

    with Crew(patience_s=30) as crew:
        crew.start("run", run.turn, run.end)
        return asyncio.run(measured())


async def delays(run: PageRun, seconds: float, least: int = 10) -> dict[str, Any]:
    """From the hand-over to the moment a number can be read in the page's canvas, in milliseconds.

    For so many seconds, and until `least` numbers were read. Raises DeviceError where that takes a minute.
    """
    async with open_browser() as browser:
        await _open_page(run, browser)
        ahead_s = await _ahead_s(browser)
        assert run.numbering is not None
        before = len(run.numbering.shown_s)
        await browser.js(READ)
        started = time.monotonic()
        await asyncio.sleep(seconds)
        while len(seen := await browser.js("window.seenNumbers")) < least:
            if time.monotonic() - started > seconds + START_S:
                raise DeviceError(f"only {len(seen)} numbers could be read in the page")
            await asyncio.sleep(0.2)
        offered = len(run.numbering.shown_s) - before
    shown_s = dict(run.numbering.shown_s)
    late = sorted(1e3 * (at / 1e3 - ahead_s - shown_s[number]) for number, at in seen if number in shown_s)
    return {
        "ms": {f"p{percent}": round(late[-(-len(late) * percent // 100) - 1], 1) for percent in (50, 95, 99)},
        "seen": len(late),
        "offered": offered,
        "clocks_ms": round(1e3 * ahead_s, 2),
        "load_1min": round(os.getloadavg()[0], 2),
    }


async def _open_page(run: PageRun, browser: Browser) -> None:
    await browser.open(run.new_address())
    await browser.js(
        "new Promise((done) => { const look = () => (document.getElementById('veil')?.hidden ? done() : "
        "setTimeout(look, 50)); look(); })"
    )


async def _ahead_s(browser: Browser) -> float:
    """By how much the page's clock is ahead of ours: from the quickest of some questions."""
    tries = []
    for _ in range(30):
        asked = time.time()
        there_ms = await browser.js("performance.timeOrigin + performance.now()")
        answered = time.time()
        tries.append((answered - asked, there_ms / 1e3 - (asked + answered) / 2))
    return float(min(tries)[1])


async def _fps(run: PageRun, seconds: float) -> float:
    await asyncio.sleep(SETTLE_S)
    first, started = run.fresh, time.monotonic()
    await asyncio.sleep(seconds)
    return (run.fresh - first) / (time.monotonic() - started)


async def cost(run: PageRun, rounds: int, seconds: float) -> dict[str, Any]:
    """Pictures a second with the page closed and open, by turns."""
    closed, opened = [], []
    async with open_browser() as browser:
        for _ in range(rounds):
            await browser.open("about:blank")
            closed.append(await _fps(run, seconds))
            await _open_page(run, browser)
            opened.append(await _fps(run, seconds))
    return compared("closed", closed, "open", opened)


async def jobs(run: PageRun, rounds: int, seconds: float, config: RunConfig) -> dict[str, Any]:
    """Pictures a second with the page open, without and with a file being made, by turns; and how fast that was."""
    alone, beside, made = [], [], 0
    async with open_browser() as browser:
        await _open_page(run, browser)
        for _ in range(rounds):
            alone.append(await _fps(run, seconds))
            fps, frames = await beside_a_job(config, lambda: _fps(run, seconds))
            beside.append(fps)
            made += frames
    job_fps = made / (rounds * (seconds + SETTLE_S))
    return {**compared("alone", alone, "with_job", beside), "job_fps": round(job_fps, 2)}


async def crowds(run: PageRun, rounds: int, seconds: float, count: int) -> dict[str, Any]:
    """Pictures a second in peace and with a crowd that comes once in a turn; and what the crowd got."""
    quiet, attacked = [], []
    answers: Counter[str] = Counter()
    port = run.new_address().partition("127.0.0.1:")[2].partition("/")[0]
    root = str(Path(__file__).resolve().parent.parent)
    for _ in range(rounds):
        quiet.append(await _fps(run, seconds))
        crowd = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.page_attack", port, str(count)),
            stdout=asyncio.subprocess.PIPE,
            cwd=root,
        )
        attacked.append(await _fps(run, seconds))
        said, _ = await crowd.communicate()
        answers.update(json.loads(said))
    return {**compared("quiet", quiet, "attacked", attacked), "answers": dict(answers)}


def compared(name: str, one: list[float], other_name: str, other: list[float]) -> dict[str, Any]:
    """Each turn against the one before it: the machine's mood changes more slowly than that."""
    kept = sorted(second / first for first, second in zip(one, other, strict=True) if first > 0)
    if not kept:
        raise DeviceError(f"no picture left while the page was {name}: give longer turns (--seconds)")
    return {
        "fps": {name: [round(fps, 2) for fps in one], other_name: [round(fps, 2) for fps in other]},
        "kept": {"median": round(statistics.median(kept), 3), "least": round(kept[0], 3), "most": round(kept[-1], 3)},
        "load_1min": round(os.getloadavg()[0], 2),
    }


def told(report: dict[str, Any]) -> list[str]:
    """For people."""
    lines = []
    if (delay := report.get("delay")) is not None:
        lines.append(
            f"view delay p50 {delay['ms']['p50']:.0f} p95 {delay['ms']['p95']:.0f} p99 {delay['ms']['p99']:.0f} ms "
            f"({delay['seen']} of {delay['offered']} pictures seen)"
        )
    lines += [
        f"page open, {what}: {_kept(report[key])} of the pictures a second kept"
        for key, what in COSTS.items()
        if key in report
    ]
    if (attack_ := report.get("attack")) is not None:
        lines.append(f"crowd at the door: {_kept(attack_)} kept; answers {attack_['answers']}")
    if (job := report.get("job")) is not None:
        lines.append(f"a file being made: {_kept(job)} kept; it gets {job['job_fps']:g} pictures a second")
    return [*lines, one_line(report["stamp"])]


def _kept(found: dict[str, Any]) -> str:
    kept = {key: 100 * share for key, share in found["kept"].items()}
    return f"{kept['median']:.0f} % ({kept['least']:.0f} to {kept['most']:.0f})"
