"""The command `masquerade`: arguments in, one line per error out, exit codes as promised.

0 done, 2 wrong arguments or config, 3 device, 4 model, 5 stuck thread, 130 interrupted.
"""

import logging
import os
import signal
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from realtime import __version__
from realtime.cli.avatars import avatars
from realtime.errors import MasqueradeError

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="masquerade")
@click.option("--debug", is_flag=True, help="Show tracebacks and every log line.")
def app(debug: bool) -> None:
    """A webcam, video or voice goes in; a character goes out, into any video call."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="masquerade: %(message)s", stream=sys.stderr
    )


def _run_options(command: F) -> F:
    """The options that `run` and `demo` share. Each is None unless given, so that a file can say it."""
    options = [
        click.option("--provider", help="auto, cpu, openvino, cuda, tensorrt, rtx, coreml or directml."),
        click.option("--seconds", type=float, help="End after so many seconds."),
        click.option("--metrics", type=click.Path(path_type=Path), help="Write the numbers of the run to a JSON file."),
        click.option("--mirror/--no-mirror", default=None, help="Flip left and right."),
        click.option("--size", help="WIDTHxHEIGHT of the pictures, e.g. 1280x720."),
        click.option("--fps", type=float, help="Frames a second to ask of the camera and to give to outputs."),
        click.option("--badge", help="on, or off (synthetic and self identities only)."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@app.command()
@click.option("--source", help="Camera (0, /dev/video2, a name), file, picture, stream address, or synthetic.")
@click.option("--model", help="A bundle's name or folder (masquerade models).")
@click.option("--avatar", help="Who moves or speaks: a name (masquerade avatars), a picture, a folder of pictures.")
@click.option("--sound", help="mic, mic:NAME or a file: the voice that lip-sync models speak with, others go with.")
@click.option("--virtual-microphone/--no-virtual-microphone", default=None, help="Let calls hear the voice, in step.")
@click.option("--output", multiple=True, help="camera[:DEVICE], FILE.mp4|.mkv|.webm, page or null. Repeatable.")
@click.option("--pace", help="live drops frames to keep up; all processes every frame of a file.")
@click.option("--loop/--no-loop", default=None, help="Begin a file again when it ends.")
@click.option("--precision", help="auto, fp32, fp16 or bf16 for the swap network.")
@click.option("--detector", help="own or mediapipe.")
@click.option("--faces", type=int, help="How many people get the face (1 to 8).")
@click.option("--on-miss", "on_miss", help="What goes out without a face: hold, card or blur (raw with --allow-raw).")
@click.option("--allow-raw", is_flag=True, default=None, help="Permit --on-miss raw: your own face may be seen.")
@click.option("--mask-erode", "mask_erode", type=int)
@click.option("--mask-blur", "mask_blur", type=int)
@click.option("--opacity", type=float)
@click.option("--color-transfer", "color_transfer", help="none, rct, lct, mkl or idt.")
@click.option("--sharpen", type=int)
@click.option("--variant", help="fast, or fine: a larger face for more time, where the model has it.")
@click.option("--morph", type=float, help="The morph factor of AMP models, 0 to 1.")
@click.option("--movement", help="relative to your neutral pose, or absolute.")
@click.option("--region", help="What of your motion an avatar takes over: all, expression, head, lips or eyes.")
@click.option("--background", help="Behind and beside an avatar: kept, blurred, #rrggbb or a picture.")
@click.option("--adapt-scale/--no-adapt-scale", "adapt_scale", default=None, help="Motion as large as the avatar.")
@click.option("--idle/--no-idle", default=None, help="A picture that speaks blinks, breathes and moves a little.")
@click.option("--voice-offset-ms", type=int, help="How much later than measured a call hears the voice.")
@click.option("--steadiness", type=float, help="Strength of the landmark filter: 0 is off, 1 the default.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="A TOML file with these options.")
@_run_options
def run(config_file: Path | None, output: tuple[str, ...], **flags: Any) -> None:
    """The live loop."""
    from realtime.config import make_config, read_toml
    from realtime.pipeline.session import Run

    given = {name: value for name, value in flags.items() if value is not None}
    if output:
        given["output"] = output
    config = make_config(read_toml(config_file) if config_file else {}, given)
    report = Run(config, say=_say_live)()
    _summary(report)


@app.command()
@click.option("--source", help="0 for your camera; the bundled clip if not given.")
@click.option("--model", help="The identity to wear; motion for a picture that moves.")
@click.option("--avatar", help="What a motion model moves; those built in if not given.")
@click.option("--headless", is_flag=True, help="Don't open a browser.")
@_run_options
def demo(source: str | None, headless: bool, **flags: Any) -> None:
    """See it work on what is built in."""
    from realtime.config import make_config
    from realtime.models.library import built_in_folder
    from realtime.output.virtual_camera import find_virtual_camera
    from realtime.pipeline.session import Run

    given = {name: value for name, value in flags.items() if value is not None}
    given["source"] = source or str(built_in_folder() / "clips" / "driving.mp4")
    given |= {"loop": True, "pace": "live"}
    given["output"] = ("page", "camera") if find_virtual_camera() is not None else ("page",)

    def page(address: str) -> None:
        click.echo(f"page: {address}")
        if not headless:
            webbrowser.open(address)

    report = Run(make_config({}, given), say=_say_live, on_page=page)()
    _summary(report)


@app.command()
def devices() -> None:
    """Cameras and their formats, virtual cameras, microphones, providers."""
    from realtime.cli.doctor import device_lines

    for line in device_lines():
        click.echo(line)


@app.command()
def doctor() -> None:
    """Check the set-up; says how to mend what is wrong."""
    from realtime.cli.doctor import checks

    well = True
    for check in checks():
        well = well and check.well
        click.echo(f"{'ok  ' if check.well else 'MEND'}  {check.what}{'' if check.well else f': {check.mend}'}")
    sys.exit(0 if well else 1)


@app.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """The identities and models on this machine."""
    if context.invoked_subcommand is None:
        context.invoke(models_list)


@models.command("list")
def models_list() -> None:
    """One line a bundle, and where your own live."""
    from realtime.models.bundle import Bundle
    from realtime.models.library import list_bundles, user_folder

    for bundle in list_bundles():
        if isinstance(bundle, Bundle):
            card = bundle.card
            click.echo(f"{bundle.name:<20} {card.family:<10} {card.identity.kind:<10} {card.title} ({card.licence})")
        else:
            click.echo(f"{bundle.name:<20} broken: {bundle.reason}")
    click.echo(f"your own bundles: {user_folder()}")


@models.command("show")
@click.argument("name")
def models_show(name: str) -> None:
    """A bundle's card."""
    from realtime.models.library import load_bundle

    bundle = load_bundle(name)
    click.echo((bundle.folder / "model.toml").read_text(encoding="utf-8").rstrip())
    click.echo(f"# folder: {bundle.folder}")
    if bundle.card.family == "motion":
        click.echo(f"# a still picture moves as you do: masquerade run --model {bundle.name} --avatar NAME|FILE|FOLDER")
    if bundle.card.family == "lip-sync":
        click.echo(f"# a picture speaks: masquerade run --model {bundle.name} --avatar NAME|FILE --sound mic|FILE")


@models.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="How to call it; the file's name if not given.")
@click.option("--identity", help="Whose face it is: self, consented or synthetic.")
@click.option("--statement", help="Who it is, and how they agreed, in one sentence.")
@click.option("--face-type", "face_type", default=None, help="half, mid-full, full, whole_face or head (a .dfm).")
def models_add(
    file: Path, name: str | None, identity: str | None, statement: str | None, face_type: str | None
) -> None:
    """Make a bundle from a .dfm file, or copy a bundle's folder."""
    from realtime.models.library import add

    bundle = add(file, name=name, identity=identity, statement=statement, face_type=face_type)
    click.echo(f"added {bundle.name}: masquerade run --model {bundle.name}")


@models.command("remove")
@click.argument("name")
def models_remove(name: str) -> None:
    """Delete one of your own bundles."""
    from realtime.models.library import remove

    remove(name)
    click.echo(f"removed {name}")


app.add_command(avatars)


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """The benchmarks: latency, quality, blend. See masquerade bench --help."""
    from benchmarks.__main__ import bench as group

    group.main(args=list(arguments), prog_name="masquerade bench", standalone_mode=False)


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def export(arguments: tuple[str, ...]) -> None:
    """A trained checkpoint -> a bundle or a .dfm. See masquerade export --help."""
    from export.command import export as command

    command.main(args=list(arguments), prog_name="masquerade export", standalone_mode=False)


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def learn(arguments: tuple[str, ...]) -> None:
    """Clips of one person -> an identity to wear. See masquerade learn --help."""
    from trained_models.recipes.autoencoder.learn.command import learn as command

    command.main(args=list(arguments), prog_name="masquerade learn", standalone_mode=False)


def _say_live(line: str) -> None:
    """The live line overwrites itself in a terminal and is a line each elsewhere."""
    if sys.stdout.isatty():
        click.echo(f"\r\x1b[K{line}", nl=False)
    else:
        click.echo(line)


def _summary(report: dict[str, Any]) -> None:
    frames, latency = report["frames"], report["latency_ms"]
    if sys.stdout.isatty():
        click.echo()
    click.echo(
        f"{report['title']}: {frames['emitted']} pictures in {report['seconds']:.1f} s ({report['fps']:.1f} fps), "
        f"latency p50 {latency['p50']:.0f} p95 {latency['p95']:.0f} ms, {frames['dropped']} dropped, "
        f"{frames['guarded']} guarded, {frames['raw']} raw"
    )


class Interrupted(BaseException):
    """Ctrl-C, or a polite kill. Not KeyboardInterrupt: click would put an empty line before ours."""


def _interrupted(*_: object) -> None:
    raise Interrupted


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs the command and exits with the promised code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    # --debug is welcome anywhere on the line, not only before the command.
    arguments = (["--debug"] if debug else []) + [a for a in arguments if a != "--debug"]
    signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        code = app.main(args=arguments, prog_name="masquerade", standalone_mode=False)
    except MasqueradeError as error:
        _fail(str(error), error.exit_code, debug)
    except click.ClickException as error:
        _fail(f"{error.format_message()} (masquerade --help)", 2, debug)
    except (Interrupted, KeyboardInterrupt, click.Abort):
        _fail("interrupted", INTERRUPTED, debug)
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        _fail(f"unexpected {type(error).__name__}: {error}; run again with --debug and report it", 1, debug)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    if sys.stdout.isatty():
        click.echo()
    click.echo(f"masquerade: {' '.join(message.split())}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
