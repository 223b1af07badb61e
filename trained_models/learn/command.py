"""`masquerade learn`: clips of a person or a character in, an identity to wear out."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from realtime.errors import ConfigError, pip_install

_NEEDED = ("torch", "onnx", "onnxscript")

_EXAMPLES = """\b
Examples:
  masquerade learn me.mp4 --name me --identity self --statement "Me, filmed by myself."
  masquerade learn a.mov b.mov --name kim --identity consented --statement "Kim, who agreed on 3 May."
  masquerade run --model me
"""


@click.command(epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", required=True, help="How to call it: a-z 0-9 . _ -")
@click.option("--identity", help="Whose face it is: self, consented or synthetic.")
@click.option("--statement", help="Who it is, and how they agreed, in one sentence.")
@click.option("--title", help="What people read; the name if not given.")
@click.option(
    "--minutes", type=click.FloatRange(min=0.01), default=7.5, show_default=True, help="Train at most so long."
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=3000, show_default=True, help="Train at most so many steps."
)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="Cores to train on.")
def learn(
    clips: tuple[Path, ...],
    name: str,
    identity: str | None,
    statement: str | None,
    title: str | None,
    minutes: float,
    steps: int,
    threads: int,
) -> None:
    """An identity to wear, from a minute of video of one person or character.

    CLIPS show one face, in even light, talking, smiling, closing the eyes, turning left, right, up and down. What
    is sharp and uncovered is kept and shown, a face is trained on it, and the bundle NAME is added to your own.
    Ctrl-C saves; the same command goes on.
    """
    for package in _NEEDED:
        if find_spec(package) is None:
            raise ConfigError(f"masquerade learn needs {package}: {pip_install('train')}")
    from trained_models.learn.fit import Limits, Stopped
    from trained_models.learn.run_dir import only_learner
    from trained_models.learn.steps import Request
    from trained_models.learn.steps import learn as do

    limits = Limits(seconds=60 * minutes, steps=steps)
    request = Request(clips, name, identity, statement, title, limits, threads=threads)
    live = _Live()
    before = os.umask(0o077)  # all that is written here is the user's own: pictures of a face
    try:
        with only_learner(name):
            bundle = do(request, live.say, live.progress)
    except Stopped:
        live.say("everything is saved: the same command goes on from here")
        raise
    finally:
        os.umask(before)
    live.say(f"{bundle.folder}: masquerade run --model {bundle.name}")


class _Live:
    def __init__(self) -> None:
        self._passing = False

    def say(self, line: str) -> None:
        if self._passing:
            click.echo()
        self._passing = False
        click.echo(line)

    def progress(self, line: str) -> None:
        """A line that the next one replaces in a terminal, and that is a line like others elsewhere."""
        if sys.stdout.isatty():
            click.echo(f"\r\x1b[K{line}", nl=False)
            self._passing = True
        else:
            click.echo(line)
