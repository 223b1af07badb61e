"""`masquerade export`: a trained checkpoint in, a bundle or a .dfm out."""

import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from export.options import FAMILIES, FORMATS, PRECISIONS, ExportOptions
from realtime.errors import ConfigError, pip_install
from realtime.text import printable

_NEEDED = ("torch", "onnx", "onnxscript", "yaml")

_EXAMPLES = """\b
Examples:
  masquerade export models/eve --family deepfacelab --out eve --identity self --statement "Me."
  masquerade export models/eve --family deepfacelab --out eve-dfm --format dfm
  masquerade export vox-cpk.pth.tar --family first-order-motion --config vox-256 --out vox
  masquerade export wav2lip_gan.pth --family wav2lip --out lips
"""


@click.command(epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--family", required=True, type=click.Choice(FAMILIES), help="Which program trained it.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to make, or an empty one.")
@click.option(
    "--config", help="first-order-motion: its YAML file or a published name (vox-256). The weights tell most."
)
@click.option("--format", "format", type=click.Choice(FORMATS), default="bundle", show_default=True)
@click.option("--precision", type=click.Choice(PRECISIONS), default="fp32", show_default=True)
@click.option("--engine", type=click.Choice(["tensorrt"]), help="Build TensorRT engines for this machine's GPU too.")
@click.option("--name", help="How to call it; the checkpoint's name if not given.")
@click.option("--title", help="What people read.")
@click.option("--identity", help="deepfacelab: whose face it is: self, consented or synthetic.")
@click.option("--statement", help="deepfacelab: who it is, and how they agreed, in one sentence.")
@click.option(
    "--face-type", help="deepfacelab: half, mid-full, full, whole_face or head, where its options are silent."
)
@click.option(
    "--align-corners/--no-align-corners",
    default=None,
    help="first-order-motion: how features are looked up; by the file's age if not given.",
)
@click.option("--dynamic-batch", is_flag=True, help="Leave the number of pictures in one call open.")
@click.option(
    "--calibration", type=click.Path(path_type=Path), help="int8: a folder of pictures or videos to measure ranges on."
)
def export(**options: Any) -> None:
    """A trained checkpoint becomes a bundle for the live loop, or a .dfm.

    CHECKPOINT is a DeepFaceLab model folder (or one of its files, where a folder holds several models), or the
    .pth.tar or .pth file of a First Order Motion Model or Wav2Lip. What comes out is compared with the network
    it was made from; if it differs by more than the precision explains, nothing is written.
    """
    chosen = ExportOptions(**options)
    for package in _NEEDED:
        if find_spec(package) is None:
            raise ConfigError(f"masquerade export needs {package}: {pip_install('export')}")
    from export.checkpoint_to_bundle import export_checkpoint

    made = export_checkpoint(chosen, click.echo)
    click.echo(_next(chosen, made))


def _next(options: ExportOptions, made: Path) -> str:
    """What a user can do with it."""
    where = printable(shlex.quote(str(made)))
    if options.format == "dfm":
        return f'{where}: masquerade models add {where} --identity self|consented|synthetic --statement "…"'
    if options.family != "deepfacelab":
        return f"{where}: masquerade models add {where}"
    if options.identity is None:
        return (
            f"{where}: its card does not say whose face it is yet: "
            f'masquerade models add {where} --identity self|consented|synthetic --statement "…"'
        )
    return f"{where}: masquerade run --model {where}"
