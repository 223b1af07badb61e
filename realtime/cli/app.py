"""The command `masquerade`: arguments in, one line per error out, exit codes as promised.

0 done, 2 wrong arguments or config, 3 device, 4 model, 5 stuck thread, 130 interrupted.
"""

import logging
import os
import signal
import sys
from importlib.metadata import entry_points

import click

from realtime import __version__
from realtime.cli.models import avatars, models
from realtime.cli.run import demo, run
from realtime.cli.streams import standard_streams
from realtime.errors import MasqueradeError
from realtime.home import mend_home
from realtime.text import printable

LONGEST = 2000
"""Characters of a message: enough for two paths of the longest kind that people have."""


class Commands(click.Group):
    """The program's own commands, and those of packages that are plug-ins of it (`bench`, `export`, `learn`).

    A plug-in names its click command as an entry point; it is imported when it is called or listed.
    """

    PLUGINS = "masquerade.commands"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *entry_points(group=self.PLUGINS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for found in entry_points(group=self.PLUGINS, name=cmd_name):
            os.getcwd()  # it raises where that folder is gone, in which PyTorch would end the process
            command: click.Command = found.load()
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="masquerade")
@click.option("--debug", is_flag=True, help="Show tracebacks and every log line.")
def app(debug: bool) -> None:
    """A webcam, video or voice goes in; a character goes out, into any video call."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="masquerade: %(message)s", stream=sys.stderr
    )
    mend_home()


@app.command()
def devices() -> None:
    """Cameras and their formats, virtual cameras, microphones, providers."""
    from realtime.cli.doctor import device_lines

    for line in device_lines():
        click.echo(line)


@app.command()
def doctor() -> None:
    """Check the set-up and say how to fix what is wrong."""
    from realtime.cli.doctor import checks

    well = True
    for check in checks():
        well = well and check.well
        click.echo(f"{'ok  ' if check.well else 'MEND'}  {check.what}{'' if check.well else f': {check.mend}'}")
    sys.exit(0 if well else 1)


app.add_command(run)
app.add_command(demo)
app.add_command(models, "models")
app.add_command(avatars, "avatars")


class Interrupted(BaseException):
    """Ctrl-C, a polite kill, or a closed terminal. Not KeyboardInterrupt: click would put an empty line before ours."""


POLITE = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _interrupted(*_: object) -> None:
    for number in POLITE:  # where a session ends they come in pairs, and the second must not break the closing
        signal.signal(number, signal.SIG_IGN)
    raise Interrupted


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs the command and exits with the promised code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    with standard_streams() as lost:
        code = _run(arguments, debug)
    if lost and code == 0:
        code = _failed(f"standard output could not be written ({lost[0].strerror}): make room there", 1, False)
    sys.exit(code)


def _run(arguments: list[str], debug: bool) -> int:
    """The exit code of a command, after its error was told."""
    for number in (signal.SIGINT, *POLITE):
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets SIGHUP
            signal.signal(number, _interrupted)
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            return _failed(f"{printable(argument)} is not written in UTF-8, as names have to be: rename it", 2, debug)
    # --debug is welcome anywhere on the line, not only before the command.
    arguments = (["--debug"] if debug else []) + [a for a in arguments if a != "--debug"]
    try:
        code = app.main(args=arguments, prog_name="masquerade", standalone_mode=False)
    except MasqueradeError as error:
        return _failed(str(error), error.exit_code, debug)
    except click.ClickException as error:
        return _failed(f"{error.format_message()} (masquerade --help)", 2, debug)
    except (Interrupted, KeyboardInterrupt, click.Abort):
        return _failed("interrupted", 130, debug)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except OSError as error:
        why = error.strerror or type(error).__name__
        if isinstance(error, FileNotFoundError) and error.filename is None:
            return _failed("the working directory is gone: change to another one", 2, debug)
        if error.filename is None:
            return _failed(f"the system refused something ({why}): run again with --debug to see what", 1, debug)
        return _failed(f"{os.fsdecode(error.filename)} cannot be used ({why}): check the path and its rights", 2, debug)
    except Exception as error:
        return _failed(f"unexpected {type(error).__name__}: {error}; run again with --debug and report it", 1, debug)
    return code if isinstance(code, int) else 0


def _failed(message: str, code: int, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    if sys.stdout.isatty():
        click.echo()
    click.echo(f"masquerade: {printable(' '.join(message.split()), LONGEST)}", err=True)
    return code


if __name__ == "__main__":
    main()
