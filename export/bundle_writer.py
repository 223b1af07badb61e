"""The files of an export: networks, the record of how they were made, the card of a bundle."""

import json
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import tomli_w

from export.parity import Difference
from export.plan import ExportPlan
from export.samples import SEED
from export.to_onnx import Exported
from realtime import __version__
from realtime.models.bundle import Bundle, hash_file, open_bundle
from realtime.models.card import CARD_FILE
from realtime.text import printable

RECORD_FILE = "export.json"
_LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime")


def write_record(file: Path, plan: ExportPlan, networks: Sequence[Exported], options: Mapping[str, Any]) -> None:
    """What was made out of what, with which versions, and how near it comes: JSON, UTF-8.

    For each network: hash, opset, versions, precision, and the difference of every output from the torch
    network. No time of day and no folder is in it: the same checkpoint gives the same record.
    """
    record = {
        "schema": 1,
        "family": plan.family,
        "source": {"files": {source.name: hash_file(source) for source in plan.sources}, **plan.training},
        "options": dict(options),
        "networks": {network.file: _facts(network) for network in networks},
        "versions": {
            "masquerade": __version__,
            "python": ".".join(map(str, sys.version_info[:2])),
            **{library: metadata.version(library) for library in _LIBRARIES},
        },
    }
    file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_card(
    folder: Path,
    plan: ExportPlan,
    networks: Sequence[Exported],
    *,
    name: str,
    title: str,
    identity: tuple[str, str] | None,
) -> Bundle:
    """The card of the files in `folder`, and the bundle that this makes of it.

    `identity` is the kind and the statement. For a `swap` model it may be None: then the card does not say
    whose face it is, and nobody can use the bundle before somebody does (`masquerade models add`); what is
    returned has a stand-in for it. The other families' models show nobody, and their cards say so.
    """
    card: dict[str, Any] = {"schema": 1, "name": name, "title": title, "family": plan.family, "licence": "unknown"}
    said = {"kind": identity[0], "statement": identity[1]} if identity else {"kind": "none", "statement": ""}
    files = {network.file: f"sha256:{network.sha256}" for network in networks}
    files[RECORD_FILE] = hash_file(folder / RECORD_FILE)
    rest: dict[str, Any] = {"files": files, "input": dict(plan.input)}
    if plan.output:
        rest["output"] = dict(plan.output)
    rest["training"] = {"checkpoint": printable(plan.sources[0].name, 120), **plan.training}
    rest["measured"] = {"export": f"{_within(networks)}; masquerade export"}
    open_card = plan.family == "swap" and identity is None
    text = tomli_w.dumps({**card, **({} if open_card else {"identity": said}), **rest})
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    stand_in = {"kind": "consented", "statement": "Not said yet."}
    return open_bundle(folder, tomli_w.dumps({**card, "identity": stand_in, **rest}).encode() if open_card else None)


def nearness(difference: Difference) -> str:
    """A difference for a user to read: `within 4.7e-06 of the checkpoint's network (celeb_face)`."""
    psnr = f", {difference.psnr_db:.0f} dB" if difference.psnr_db is not None else ""
    return f"within {difference.worst:.1e} of the checkpoint's network ({difference.output}{psnr})"


def _facts(network: Exported) -> dict[str, Any]:
    return {
        "sha256": network.sha256,
        "bytes": len(network.content),
        "opset": network.opset,
        "ir_version": network.ir_version,
        "nodes": network.nodes,
        "precision": network.precision,
        "worst_difference": max(difference.worst for difference in network.parity.differences),
        "samples": network.parity.samples,
        "seed": None if network.precision == "int8" else SEED,  # int8 is compared on faces
        "outputs": network.parity.facts(),
        **network.facts,
    }


def _within(networks: Sequence[Exported]) -> str:
    worst = max(networks, key=lambda network: network.parity.worst.relative)
    return f"{worst.precision} {nearness(worst.parity.worst)}"
