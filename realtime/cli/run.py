"""`masquerade run` and `masquerade demo`: options in, a session, its summary out."""

import sys
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from realtime.config import RunConfig

F = TypeVar("F", bound=Callable[..., Any])
NEWCOMERS_SEE = "pip"
"""The avatar of somebody's first demo."""


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


@click.command()
@click.option(
    "--source",
    help="Camera (0, /dev/video2, a name), file, picture, stream, motion (.npz, .bvh), or synthetic.",
)
@click.option("--model", help="A bundle's name or folder (masquerade models).")
@click.option("--avatar", help="Who moves or speaks: a name (masquerade avatars), a picture, a folder of pictures.")
@click.option(
    "--sound",
    help="mic, mic:NAME or a file: the voice that moves the mouth of lip-sync models and figures, or goes along.",
)
@click.option("--virtual-microphone/--no-virtual-microphone", default=None, help="Let calls hear the voice, in step.")
@click.option("--output", multiple=True, help="camera[:DEVICE], FILE.mp4|.mkv|.webm, page or null. Repeatable.")
@click.option("--record-motion", type=click.Path(path_type=Path), help="Write a figure's motion as numbers (.npz).")
@click.option("--pace", help="live drops frames to keep up; all processes every frame of a file.")
@click.option("--loop/--no-loop", default=None, help="Start a file again when it ends.")
@click.option("--precision", help="auto, fp32, fp16 or bf16 for the swap network.")
@click.option("--detector", help="own or mediapipe.")
@click.option("--faces", type=int, help="How many faces are replaced (1 to 8).")
@click.option(
    "--on-miss", "on_miss", help="What is sent without a face: hold, card (a slate) or blur; raw with --allow-raw."
)
@click.option("--others", help="Faces that are not replaced: cover (the default), card (a slate goes out) or show.")
@click.option("--allow-raw", is_flag=True, default=None, help="Permit --on-miss raw: your own face may be seen.")
@click.option("--mask-erode", "mask_erode", type=int, help="Shrink the mask, in pixels of a 224-pixel crop.")
@click.option("--mask-blur", "mask_blur", type=int, help="Soften the mask's edge, in pixels of a 224-pixel crop.")
@click.option("--opacity", type=float, help="How much of the new face is shown, 0 to 1; below 1 needs --allow-raw.")
@click.option("--color-transfer", "color_transfer", help="none, rct, lct, mkl or idt.")
@click.option("--sharpen", type=int, help="Unsharp mask in percent, 0 to 200.")
@click.option("--variant", help="fast, or fine: a sharper face for more time, where the model has it.")
@click.option("--morph", type=float, help="The morph factor of AMP models, 0 to 1.")
@click.option("--shape", type=float, help="How much of its own bones an identity made of pictures shows, 0 to 1.")
@click.option("--skin", help="The identity's skin tone: auto, or 0 (its own) to 1 (yours).")
@click.option("--my-skin", "my_skin", help="Your own: auto, pale, light, medium, tan, brown or dark.")
@click.option("--movement", help="relative to your neutral pose, or absolute.")
@click.option("--region", help="Which part of your motion an avatar follows: all, expression, head, lips or eyes.")
@click.option("--background", help="Behind an avatar: kept, blurred, #rrggbb or a picture file.")
@click.option(
    "--adapt-scale/--no-adapt-scale", "adapt_scale", default=None, help="Scale motion with the avatar's head."
)
@click.option("--idle/--no-idle", default=None, help="A speaking picture blinks, breathes and sways.")
@click.option("--voice-offset-ms", type=int, help="How much later than measured a call hears the voice.")
@click.option("--steadiness", type=float, help="Strength of the landmark filter: 0 is off, 1 the default.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="A TOML file with these options.")
@_run_options
def run(config_file: Path | None, output: tuple[str, ...], **flags: Any) -> None:
    """Run the live loop: source in, character out."""
    from realtime.config import make_config, read_toml

    given = {name: value for name, value in flags.items() if value is not None}
    if output:
        given["output"] = output
    config = make_config(read_toml(config_file) if config_file else {}, given)
    _summary(run_session(config, say=_say_live))


@click.command()
@click.option("--source", help="0 for your camera; the bundled clip if not given.")
@click.option("--model", help="The identity to show, or motion for a still picture that moves (masquerade models).")
@click.option("--avatar", help="The figure or picture that moves; a drawn fox the first time, then who was last.")
@click.option("--headless", is_flag=True, help="Don't open a browser.")
@_run_options
def demo(source: str | None, headless: bool, **flags: Any) -> None:
    """See it work on the built-in clip, or on your camera."""
    from realtime.config import make_config
    from realtime.models.library import built_in_folder
    from realtime.output.virtual_camera import find_virtual_camera
    from realtime.pipeline.presets import is_session_kept

    given = {name: value for name, value in flags.items() if value is not None}
    if not given.keys() & {"model", "avatar", "sound"} and not is_session_kept():
        given["avatar"] = NEWCOMERS_SEE
    given["source"] = source or str(built_in_folder() / "clips" / "driving.mp4")
    given |= {"loop": True, "pace": "live"}
    given["output"] = ("page", "camera") if find_virtual_camera() is not None else ("page",)

    def page(address: str) -> None:
        click.echo(f"page: {address}")
        if not headless:
            webbrowser.open(address)

    _summary(run_session(make_config({}, given), say=_say_live, on_page=page))


def run_session(
    config: "RunConfig", *, say: Callable[[str], None], on_page: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """One run, with the page where it is an output; gives its report. `on_page` gets the page's address.

    Raises MasqueradeError.
    """
    from realtime.output.open_sink import wants_page
    from realtime.pipeline.parts import open_parts
    from realtime.pipeline.session import Session
    from realtime.web.controls import controls_of
    from realtime.web.server import Page

    with ExitStack() as opened:
        page = opened.enter_context(closing(Page())) if wants_page(config.output) else None
        session = Session(opened.enter_context(open_parts(config, page=page)), say=say)
        if page is not None and page in session.parts.sinks:
            session.loop.on_source_frame = page.see
            page.attach(controls_of(session))
            (on_page or (lambda address: say(f"page: {address}")))(page.url)
        return session.run()


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
        f"{frames['guarded']} guarded, {frames['covered']} with others covered, {frames['raw']} raw"
    )
