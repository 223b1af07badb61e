"""Turns a checkpoint into a bundle or a .dfm: read, export, compare, write, all or nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from export.bundle_writer import RECORD_FILE, nearness, write_card, write_record
from export.dfm_format import to_dfm
from export.families.deepfacelab import plan_deepfacelab
from export.families.first_order_motion import plan_first_order_motion
from export.families.wav2lip import plan_wav2lip
from export.int8 import Say
from export.options import ExportOptions
from export.plan import ExportPlan
from export.precision import Converted, convert_precision
from export.to_onnx import Exported, to_onnx, verify
from realtime.families.face_swap.dfm import inspect_dfm
from realtime.families.face_swap.effect import open_swapper
from realtime.families.lip_sync.network import open_lip_sync
from realtime.families.motion.first_order.network import open_first_order
from realtime.models.atomic_dir import atomic_dir
from realtime.models.bundle import Bundle
from realtime.models.card import name_from, title_from
from realtime.text import printable


def export_checkpoint(options: ExportOptions, say: Say = lambda line: None) -> Path:
    """Makes what `options` ask for in the new folder `out`. Returns `out`; for a .dfm, the file in it.

    `say` is called with a line for each thing done. Raises ConfigError, ModelError or DeviceError, in one
    line; then nothing is left behind, and whatever was at `out` is as it was.
    """
    options.check_out()
    plan = _plan(options)
    for note in plan.notes:
        say(note)
    name = options.name or name_from(plan.name)
    title = options.title or title_from(options.name or plan.name)
    with atomic_dir(options.out.absolute(), do="make room there, or choose another --out") as folder:
        if options.format == "dfm":
            _write_dfm(folder, plan, name, options, say)
            return options.out / f"{name}.dfm"
        _write_bundle(folder, plan, name, title, options, say)
        return options.out


def _plan(options: ExportOptions) -> ExportPlan:
    if options.family == "deepfacelab":
        return plan_deepfacelab(options.checkpoint, face_type=options.face_type)
    if options.family == "first-order-motion":
        return plan_first_order_motion(options.checkpoint, config=options.config, align_corners=options.align_corners)
    return plan_wav2lip(options.checkpoint)


def _write_bundle(folder: Path, plan: ExportPlan, name: str, title: str, options: ExportOptions, say: Say) -> None:
    networks = []
    for spec in plan.networks:
        model = to_onnx(spec, dynamic_batch=options.dynamic_batch)
        networks.append(_write(folder / spec.file, convert_precision(model, spec, plan, options, say), options, say))
    write_record(folder / RECORD_FILE, plan, networks, _recorded(options))
    identity = (options.identity, options.statement) if options.identity and options.statement else None
    bundle = write_card(folder, plan, networks, name=name, title=title, identity=identity)
    _prove(bundle)
    if options.engine:
        from export.to_tensorrt import compile_engine

        for network in networks:
            say(f"{network.file}: {compile_engine(folder / network.file)}")


def _write_dfm(folder: Path, plan: ExportPlan, name: str, options: ExportOptions, say: Say) -> None:
    spec = plan.dfm
    assert spec is not None  # the options have seen to it
    file = folder / f"{name}.dfm"
    # Not simplified for our runtimes: older ones shall read it, and find what DeepFaceLab would have written.
    # The number of pictures is open, as in DeepFaceLab's own.
    options = replace(options, dynamic_batch=True)
    model = to_onnx(spec, dynamic_batch=True, simplified=False)
    converted = convert_precision(model, spec, plan, options, say)
    network = _write(file, replace(converted, model=to_dfm(converted.model)), options, say)
    write_record(folder / f"{file.name}.json", plan, [network], _recorded(options))
    inspect_dfm(file)


def _write(file: Path, converted: Converted, options: ExportOptions, say: Say) -> Exported:
    file.write_bytes(converted.model.SerializeToString())
    exported = verify(
        file, converted.spec, converted.precision, dynamic_batch=options.dynamic_batch, facts=converted.facts
    )
    say(
        f"{exported.file}: {exported.precision}, opset {exported.opset}, {len(exported.content) / 1e6:.1f} MB, "
        f"{nearness(exported.parity.worst)}"
    )
    return exported


def _recorded(options: ExportOptions) -> dict[str, Any]:
    return {
        "family": options.family,
        "format": options.format,
        "precision": options.precision,
        "dynamic_batch": options.dynamic_batch,
        "config": printable(Path(options.config).name, 80) if options.config else None,
    }


def _prove(bundle: Bundle) -> None:
    """Open the bundle as the live loop does. Raises ModelError where it would be refused there."""
    opened: Any
    if bundle.card.family == "swap":
        opened = open_swapper(bundle, provider="cpu", precision="fp32")
    elif bundle.card.family == "motion":
        opened = open_first_order(bundle, provider="cpu", precision="fp32")
    else:
        opened = open_lip_sync(bundle, provider="cpu", precision="fp32")
    opened.close()
