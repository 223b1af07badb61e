"""From a checkpoint to a bundle or a .dfm: read, export, compare, write, all or nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from export.dfm import to_dfm
from export.families import Plan
from export.families.deepfacelab import plan_deepfacelab
from export.families.first_order_motion import plan_first_order_motion
from export.families.wav2lip import plan_wav2lip
from export.int8_plan import Say
from export.precision import Cast, Caster
from export.request import Request
from export.to_onnx import Exported, to_onnx, verify
from export.write_bundle import RECORD_FILE, nearness, write_card, write_record
from realtime.families.face_swap.dfm import inspect_dfm
from realtime.families.face_swap.open_swapper import open_swapper
from realtime.families.lip_sync.network import open_lip_sync
from realtime.families.motion.first_order.network import open_motion
from realtime.inference.ort import open_session
from realtime.models.atomic_dir import atomic_dir
from realtime.models.bundle import Bundle
from realtime.models.card import name_from, title_from
from realtime.text import printable


def export_checkpoint(request: Request, say: Say = lambda line: None) -> Path:
    """What `request` asks for, in its new folder `out`. Returns `out`; for a .dfm, the file in it.

    `say` is called with a line for each thing done. Raises ConfigError, ModelError or DeviceError, in one
    line; then nothing is left behind, and whatever was at `out` is as it was.
    """
    request.check_out()
    return export_plan(_plan(request), request, say)


def export_plan(plan: Plan, request: Request, say: Say = lambda line: None) -> Path:
    """As `export_checkpoint`, of a checkpoint that was read already."""
    request.check_out()
    for note in plan.notes:
        say(note)
    name = request.name or name_from(plan.name)
    title = request.title or title_from(request.name or plan.name)
    with atomic_dir(request.out.absolute(), do="make room there, or choose another --out") as folder:
        if request.format == "dfm":
            _write_dfm(folder, plan, name, request, say)
            return request.out / f"{name}.dfm"
        _write_bundle(folder, plan, name, title, request, say)
        return request.out


def _plan(request: Request) -> Plan:
    if request.family == "deepfacelab":
        return plan_deepfacelab(request.checkpoint, face_type=request.face_type)
    if request.family == "first-order-motion":
        return plan_first_order_motion(request.checkpoint, config=request.config, align_corners=request.align_corners)
    return plan_wav2lip(request.checkpoint)


def _write_bundle(folder: Path, plan: Plan, name: str, title: str, request: Request, say: Say) -> None:
    cast = Caster(plan, request, say)
    networks = []
    for part in plan.parts:
        cast_network = cast(to_onnx(part, dynamic_batch=request.dynamic_batch), part)
        networks.append(_written(folder, cast_network, part.file, request, say))
    write_record(folder / RECORD_FILE, plan, networks, _options(request))
    identity = (request.identity, request.statement) if request.identity and request.statement else None
    bundle = write_card(folder, plan, networks, name=name, title=title, identity=identity)
    _prove(bundle)
    if request.engine:
        from export.to_tensorrt import cached_engine

        for network in networks:
            compiled = cached_engine(folder / network.file, precision=network.precision)
            say(f"{network.file}: {compiled.line}")


def _write_dfm(folder: Path, plan: Plan, name: str, request: Request, say: Say) -> None:
    part = plan.dfm
    assert part is not None  # a Request has seen to it
    file = f"{name}.dfm"
    # Not simplified for our runtimes: older ones shall read it, and find what DeepFaceLab would have written.
    cast_network = Caster(plan, request)(to_onnx(part, dynamic_batch=request.dynamic_batch, simplified=False), part)
    network = _written(folder, replace(cast_network, model=to_dfm(cast_network.model)), file, request, say)
    write_record(folder / f"{file}.json", plan, [network], _options(request))
    inspect_dfm(folder / file, lambda path: open_session(path, provider="cpu", precision="fp32"))


def _written(folder: Path, cast_network: Cast, file: str, request: Request, say: Say) -> Exported:
    (folder / file).write_bytes(cast_network.model.SerializeToString())
    exported = verify(
        folder / file,
        cast_network.part,
        cast_network.precision,
        dynamic_batch=request.dynamic_batch,
        facts=cast_network.facts,
    )
    say(
        f"{exported.file}: {exported.precision}, opset {exported.opset}, {len(exported.content) / 1e6:.1f} MB, "
        f"{nearness(exported.parity.worst)}"
    )
    return exported


def _options(request: Request) -> dict[str, Any]:
    return {
        "family": request.family,
        "format": request.format,
        "precision": request.precision,
        "dynamic_batch": request.dynamic_batch,
        "config": printable(Path(request.config).name, 80) if request.config else None,
    }


def _prove(bundle: Bundle) -> None:
    """Open the bundle as the live loop does. Raises ModelError where it would be refused there."""
    opened: Any
    if bundle.card.family == "swap":
        opened = open_swapper(bundle, provider="cpu", precision="fp32")
    elif bundle.card.family == "motion":
        opened = open_motion(bundle, provider="cpu", precision="fp32")
    else:
        opened = open_lip_sync(bundle, provider="cpu", precision="fp32")
    opened.close()
