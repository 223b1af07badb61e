"""Hostile and damaged files of PyTorch: the zip of today, the stream of before 1.6, TorchScript."""

import io
import pickle
import random
import struct
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import torch
from hostile_pickles import bombs, call, name, payloads, pickled, table, text
from torch_keyfill import keyfill

from export.networks.first_order_motion import build
from export.networks.motion_config import Hourglass, MotionConfig

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
TINY = MotionConfig(
    key_points=2, detector=Hourglass(2, 4, 1), generator=Hourglass(2, 4, 1), bottleneck=1, motion=Hourglass(2, 4, 1)
)
Case = tuple[str, bytes, str]
"""Title, content, and what must become of it: `refused`, `read`, or `any` (a changed number is a number)."""


def a_motion_checkpoint() -> dict[str, Any]:
    model = build(TINY, align_corners=True)
    return {"generator": keyfill(model.generator), "kp_detector": keyfill(model.detector), "epoch": 1}


def saved(found: Any, *, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(found, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def entries(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {entry: opened.read(entry) for entry in opened.namelist()}


def zipped(content: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for entry, raw in content.items():
            archive.writestr(zipfile.ZipInfo(entry), raw, packing)
    return stream.getvalue()


def as_zip(body: bytes) -> bytes:
    return zipped({"archive/data.pkl": pickled(body), "archive/byteorder": b"little", "archive/version": b"3\n"})


def as_stream(body: bytes) -> bytes:
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, system))
    return head + pickled(body) + pickle.dumps([], 2)


def storage(kind: str, key: str, place: str, count: bytes) -> bytes:
    """A persistent id as a checkpoint has one: where a tensor's numbers lie."""
    return b"(" + text("storage") + name("torch", kind) + text(key) + text(place) + count + b"tQ"


def tensor(where: bytes, shape: bytes, stride: bytes, offset: bytes = b"K\x00") -> bytes:
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, where, offset, shape, stride, b"\x89", call(name("collections", "OrderedDict")))


def with_tensor(part: bytes) -> bytes:
    body = table({"generator": table({"final.weight": part})})
    return zipped({"archive/data.pkl": pickled(body), "archive/data/0": bytes(16)})


def hostile(canary: str) -> Iterator[Case]:
    """Every payload and every bomb in both forms, as the part that a reader looks for."""
    for form, wrap in (("zip", as_zip), ("stream", as_stream)):
        for title, body in payloads(canary).items():
            yield f"{form}: {title}", wrap(table({"generator": body, "kp_detector": b"}"})), "refused"
        for title, body in bombs().items():
            yield f"{form}: {title}", wrap(body), "refused"
    huge = b"\x8a\x08" + struct.pack("<q", 1 << 60)
    for title, where in {
        "a storage of an exabyte": storage("FloatStorage", "0", "cpu", huge),
        "a storage of less than nothing": storage("FloatStorage", "0", "cpu", b"J\xff\xff\xff\xff"),
        "a storage elsewhere": storage("FloatStorage", "../../canary", "cpu", b"K\x04"),
        "a storage on a strange device": storage("FloatStorage", "0", "canary:0", b"K\x04"),
        "a storage of the meta device": storage("FloatStorage", "0", "meta", huge),
        "a storage that is a module": storage("nn.Module", "0", "cpu", b"K\x04"),
    }.items():
        yield title, with_tensor(tensor(where, b"K\x04\x85", b"K\x01\x85")), "refused"
    for title, (shape, stride, offset) in {
        "a tensor past its end": (b"J\xff\xff\xff\x7f\x85", b"K\x01\x85", b"K\x00"),
        "a tensor before its start": (b"K\x04\x85", b"K\x01\x85", b"J\xff\xff\xff\xff"),
        "a negative stride": (b"K\x04\x85", b"J\xff\xff\xff\xff\x85", b"K\x03"),
        "a negative shape": (b"J\xff\xff\xff\xff\x85", b"K\x01\x85", b"K\x00"),
        "a tensor that overlaps itself": (huge + b"\x85", b"K\x00\x85", b"K\x00"),
    }.items():
        where = storage("FloatStorage", "0", "cpu", b"K\x04")
        yield title, with_tensor(tensor(where, shape, stride, offset)), "refused"


def archives(good: bytes) -> Iterator[Case]:
    """Zip archives that are no checkpoints, or lie about their content."""
    parts = entries(good)
    pickle_entry = next(entry for entry in parts if entry.endswith("data.pkl"))
    first = next(entry for entry in parts if "/data/" in entry)
    root = pickle_entry.partition("/")[0]
    yield "packed", zipped(parts, zipfile.ZIP_DEFLATED), "refused"
    yield "packed by bzip2", zipped(parts, zipfile.ZIP_BZIP2), "refused"
    yield "a zip bomb", zipped({**parts, first: bytes(200_000_000)}, zipfile.ZIP_DEFLATED), "refused"
    yield "without its pickle", zipped({k: v for k, v in parts.items() if k != pickle_entry}), "refused"
    yield "without a storage", zipped({k: v for k, v in parts.items() if k != first}), "refused"
    yield "without anything", zipped({}), "refused"
    yield "a storage cut short", zipped({**parts, first: parts[first][:-2]}), "refused"
    yield "out of its folder", zipped({k.replace(root, "../canary"): v for k, v in parts.items()}), "any"
    yield "by its full path", zipped({k.replace(root, "/canary"): v for k, v in parts.items()}), "any"
    yield "the other byte order", zipped({**parts, f"{root}/byteorder": b"big"}), "any"
    yield "no byte order", zipped({**parts, f"{root}/byteorder": b"\xff" * 9}), "refused"
    yield "code beside the weights", zipped({**parts, f"{root}/code/__torch__.py": b"def forward(self): pass"}), "any"
    compiled = {f"{root}/constants.pkl": pickled(b")"), pickle_entry: parts[pickle_entry]}
    yield "a compiled module", zipped(compiled), "refused"
    yield "something before it", b"#!/bin/sh\ntouch canary\n" + good, "any"
    yield "something after it", good + bytes(999), "any"
    yield "twice", good + good, "any"
    yield "a zip in a zip", zipped({"checkpoint.pth": good}), "refused"
    wrong = bytearray(good)
    at = wrong.rindex(b"PK\x01\x02")
    wrong[at + 20 : at + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)  # sizes in the directory
    yield "a lie about a size", bytes(wrong), "refused"


class Holder(torch.nn.Module):
    """A state dict as modules."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__()
        for key, value in state.items():
            part, _, rest = key.partition(".")
            if not rest:
                self.register_buffer(key, value)
            elif not hasattr(self, part):
                inner = {k.partition(".")[2]: v for k, v in state.items() if k.startswith(f"{part}.")}
                setattr(self, part, Holder(inner))

    def forward(self, x: Any) -> Any:
        return x


def scripted(state: Any) -> bytes:
    """A state dict, or a module, as TorchScript."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is on its way out, but files of it are there
        torch.jit.save(torch.jit.script(Holder(state) if isinstance(state, dict) else state), stream)
    return stream.getvalue()


def hostile_scripts(good: bytes, canary: str) -> Iterator[Case]:
    """Every payload as a module's attribute, and modules that do not end."""
    parts = entries(good)
    at = next(entry for entry in parts if entry.endswith("/data.pkl"))
    module = name("__torch__", "M") + b")\x81"
    itself = module + b"q\x00}" + text("a") + b"h\x00sb"
    doubled = (
        module
        + b"q\x00"
        + b"".join(
            module + b"}(" + text("a") + b"h" + bytes([n]) + text("b") + b"h" + bytes([n]) + b"ubq" + bytes([n + 1])
            for n in range(60)
        )
    )
    bodies = {title: module + table({"a": body}) + b"b" for title, body in (payloads(canary) | bombs()).items()}
    for title, body in (bodies | {"in itself": itself, "doubled 60 times": doubled}).items():
        yield f"script: {title}", zipped({**parts, at: pickled(body)}), "refused"
    quantised = parts[at].replace(b"_rebuild_tensor_v2", b"_rebuild_qtensor")
    yield "script: quantised", zipped({**parts, at: quantised}), "refused"
    yield "script: packed", zipped(parts, zipfile.ZIP_DEFLATED), "refused"


def damaged(good: bytes, count: int, seed: int) -> Iterator[Case]:
    """Truncations, and flipped bits; every second in the first part, where names and structure are."""
    chance = random.Random(seed)
    for number in range(count):
        bad = bytearray(good)
        if number % 4 == 0:
            del bad[chance.randrange(len(bad)) :]
            yield f"cut at {len(bad)}", bytes(bad), "any"
            continue
        reach = len(bad) // 8 if number % 2 else len(bad)
        flips = [chance.randrange(reach) for _ in range(1 + number % 5)]
        for at in flips:
            bad[at] ^= 1 << chance.randrange(8)
        yield f"flipped at {', '.join(map(str, flips))}", bytes(bad), "any"
