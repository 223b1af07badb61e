"""`masquerade learn`: clips of a person or a character in, an identity to wear out."""

import os
import sys
from pathlib import Path
from typing import Any

import click

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
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True, help="Cores to work on.")
@click.option("--minutes", type=click.FloatRange(min=0.01), hidden=True)
@click.option("--steps", type=click.IntRange(min=1), hidden=True)
def learn(minutes: float | None, steps: int | None, **given: Any) -> None:
    """An identity to wear, from a minute of video of one person or character.

    CLIPS show one face, in even light: at rest, smiling with teeth, with an open mouth, with closed eyes, turned left,
    right, up and down. The best frame of each becomes a key picture, what is missing is said and made up, and the
    bundle NAME is added to your own.
    """
    from trained_models.learn.learner import Request
    from trained_models.learn.learner import learn as do

    live = _Live()
    if minutes is not None or steps is not None:
        live.say("nothing is trained any more: --minutes and --steps change nothing")
    before = os.umask(0o077)  # all that is written here is the user's own: pictures of a face
    try:
        bundle = do(Request(**given), live.say, live.progress)
    finally:
        os.umask(before)
    live.say(f"masquerade run --model {bundle.name}")


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
