"""Foreign torch files: hostile, damaged or of another family, they end in one line and nothing else."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")

from hostile_torch import Holder, scripted  # noqa: E402
from torch_keyfill import keyfill  # noqa: E402

from export.families.first_order_motion import read_first_order_motion  # noqa: E402
from export.families.wav2lip import read_wav2lip  # noqa: E402
from export.networks.first_order_motion import build  # noqa: E402
from export.networks.motion_config import Hourglass, MotionConfig  # noqa: E402
from export.networks.wav2lip import Level, LipShape, Wav2Lip  # noqa: E402
from export.torch_file import read_torch_file  # noqa: E402
from realtime.errors import ModelError  # noqa: E402

LIPS = LipShape(face=(Level(2, 0), Level(2, 0), Level(2, 0)), picture=tuple([Level(2, 0)] * 3), head=2)
MOTION = MotionConfig(
    key_points=2, detector=Hourglass(2, 4, 1), generator=Hourglass(2, 4, 1), bottleneck=1, motion=Hourglass(2, 4, 1)
)


@pytest.fixture(scope="module")
def lips() -> dict[str, Any]:
    return {"state_dict": keyfill(Wav2Lip(LIPS)), "optimizer": None, "global_step": 1, "global_epoch": 1}


@pytest.fixture(scope="module")
def motion() -> dict[str, Any]:
    model = build(MOTION, align_corners=True)
    return {"generator": keyfill(model.generator), "kp_detector": keyfill(model.detector), "epoch": 1}


def read_motion(file: Path) -> Any:
    return read_first_order_motion(file, align_corners=True)


def refused(read: Callable[[Path], Any], file: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read(file)
    text = str(caught.value)
    assert "\n" not in text
    assert file.name in text
    assert len(text) < 400
    return text


class Opener:
    """Unpickled by an ordinary reader it makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("read", [read_motion, read_wav2lip])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, read: Callable[[Path], Any], legacy: bool) -> None:
    trace, file = tmp_path / "trace", tmp_path / "hostile.pth"
    torch.save({"state_dict": Opener(trace)}, file, _use_new_zipfile_serialization=not legacy)
    assert "mkdir" in refused(read, file)
    assert not trace.exists()
    file.write_bytes(pickle.dumps(Opener(trace)))
    refused(read, file)
    assert not trace.exists()


def test_a_good_file_is_read(tmp_path: Path, motion: dict[str, Any]) -> None:
    torch.save(motion, tmp_path / "good.pth.tar")
    assert read_motion(tmp_path / "good.pth.tar").config == MOTION


def test_the_other_family_is_named(tmp_path: Path, motion: dict[str, Any], lips: dict[str, Any]) -> None:
    torch.save(motion, tmp_path / "motion.pth.tar")
    torch.save(lips, tmp_path / "lips.pth")
    assert "--family first-order-motion" in refused(read_wav2lip, tmp_path / "motion.pth.tar")
    assert "--family wav2lip" in refused(read_motion, tmp_path / "lips.pth")


def put(state: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    return {**state, key: value}


LEAST = "output_block.0.conv_block.0.bias"
DEEP = "down_blocks.0.conv.weight"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: {k: v for k, v in s.items() if k != LEAST}, f"lacks {LEAST}"),
        (lambda s: {k: v for k, v in s.items() if "audio" not in k}, "and 77 more"),
        (lambda s: put(s, "wings.weight", torch.zeros(2)), "has unknown wings.weight"),
        (lambda s: put(s, LEAST, torch.zeros(3)), f"{LEAST} is 3, wanted is 2"),
        (lambda s: put(s, LEAST, torch.full((2,), float("nan"))), "not finite"),
        (lambda s: put(s, LEAST, torch.zeros(2, dtype=torch.int32)), "int32, wanted is torch.float32"),
        (lambda s: put(s, LEAST, torch.zeros(2).to_sparse()), "is sparse"),
        (lambda s: put(s, LEAST, "a\nb"), "not a plain named tensor"),
        (lambda s: put(s, 7, torch.zeros(2)), "not a plain named tensor"),
        (lambda s: put(s, "module." + LEAST, torch.zeros(2)), "twice"),
        (lambda s: put(s, "output_block.1.weight", torch.zeros(())), "number of dimensions"),
        (lambda s: put(s, "output_block.1.weight", torch.zeros(3, 0, 1, 1)), "sizes that no Wav2Lip"),
        (lambda s: put(s, LEAST, torch.zeros(1).expand(10**9)), "larger than the file"),
        (lambda s: list(s), "has no 'state_dict'"),
        (lambda s: {}, "has no weight"),
    ],
)
def test_wrong_weights_are_refused(
    tmp_path: Path, lips: dict[str, Any], change: Callable[[dict[str, Any]], Any], says: str
) -> None:
    torch.save({**lips, "state_dict": change(lips["state_dict"])}, tmp_path / "lips.pth")
    assert says in refused(read_wav2lip, tmp_path / "lips.pth")


@pytest.mark.parametrize(
    ("part", "key", "value", "says"),
    [
        ("generator", "final.weight", None, "no weight final.weight"),
        ("generator", DEEP, torch.zeros(5, 2, 3, 3), "wanted is"),
        ("generator", DEEP, torch.zeros(0, 2, 3, 3), "sizes that no First Order"),
        ("generator", "dense_motion_network.down.weight", torch.zeros(3, 1, 12, 12), "blur filter is 12"),
        ("kp_detector", "kp.weight", torch.zeros(0, 2, 7, 7), "sizes that no First Order"),
        ("kp_detector", "jacobian.bias", None, "lacks jacobian.bias"),
        ("kp_detector", "wings", torch.zeros(1), "has unknown wings"),
    ],
)
def test_wrong_motion_weights_are_refused(
    tmp_path: Path, motion: dict[str, Any], part: str, key: str, value: Any, says: str
) -> None:
    state = {k: v for k, v in motion[part].items() if k != key}
    torch.save({**motion, part: state if value is None else put(state, key, value)}, tmp_path / "motion.pth.tar")
    assert says in refused(read_motion, tmp_path / "motion.pth.tar")


def test_what_is_no_checkpoint(tmp_path: Path, lips: dict[str, Any]) -> None:
    assert "no checkpoint at" in refused(read_wav2lip, tmp_path / "absent.pth")
    (tmp_path / "folder.pth").mkdir()
    assert "is a folder" in refused(read_wav2lip, tmp_path / "folder.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    assert "holds a list" in refused(read_torch_file, tmp_path / "list.pth")


def as_safetensors(state: dict[str, Any]) -> bytes:
    header, numbers = {"__metadata__": {"format": "pt"}}, b""
    for key, value in state.items():
        raw = value.contiguous().view(torch.uint8).numpy().tobytes() if value.ndim else value.numpy().tobytes()
        ends = [len(numbers), len(numbers) + len(raw)]
        kind = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}[value.dtype]
        header[key] = {"dtype": kind, "shape": list(value.shape), "data_offsets": ends}
        numbers += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def prefixed(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}{key}": value for key, value in state.items()}


LAYOUTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "bare": lambda s: s,
    "bare, of several GPUs": lambda s: prefixed(s, "module."),
    "under model": lambda s: {"model": s, "optimizer": {"state": {0: {"step": 1}}}, "epoch": 3},
    "under generator": lambda s: {"generator": s, "discriminator": {"a.weight": torch.zeros(1)}},
    "beside an average of it": lambda s: {"ema": {k: v * 0 for k, v in s.items()}, "state_dict": s},
    "two deep": lambda s: {"checkpoint": {"state_dict": prefixed(s, "module.")}},
    "with a prefix": lambda s: {"state_dict": prefixed(s, "net_g.")},
    "without counts": lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
    "with odd counts": lambda s: {k: v.float() if k.endswith("num_batches_tracked") else v for k, v in s.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_weights_are_found_where_programs_put_them(tmp_path: Path, lips: dict[str, Any], layout: str) -> None:
    state = lips["state_dict"]
    torch.save(LAYOUTS[layout](state), tmp_path / "lips.pth")
    assert_same(read_wav2lip(tmp_path / "lips.pth"), state)


def assert_same(network: Any, state: dict[str, Any]) -> None:
    """Equal numbers; what training counted is not taken along."""
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key]) or (key.endswith("num_batches_tracked") and not value)


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
def test_safetensors_hold_the_same(tmp_path: Path, lips: dict[str, Any], motion: dict[str, Any], kind: str) -> None:
    cast = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[kind]
    state = {key: value.to(cast) if value.is_floating_point() else value for key, value in lips["state_dict"].items()}
    (tmp_path / "lips.safetensors").write_bytes(as_safetensors(state))
    assert_same(read_wav2lip(tmp_path / "lips.safetensors"), state)
    flat = prefixed(motion["generator"], "generator.") | prefixed(motion["kp_detector"], "kp_detector.")
    (tmp_path / "motion.safetensors").write_bytes(as_safetensors(flat))
    assert_same(read_motion(tmp_path / "motion.safetensors").generator, motion["generator"])
    whole = as_safetensors({"a": torch.ones(3)})
    for bad in (
        whole[:-1],
        whole.replace(b"[0, 12]", b"[0, 16]"),
        whole.replace(b"F32", b"F8"),
        whole.replace(b"[3]", b"3"),
    ):
        (tmp_path / "bad.safetensors").write_bytes(bad)
        assert "no whole safetensors file" in refused(read_torch_file, tmp_path / "bad.safetensors")


class Wrapper(torch.nn.Module):
    """Both networks of a motion model in one, as somebody may script them; the same weights once more, shared."""

    def __init__(self, motion: dict[str, Any]) -> None:
        super().__init__()
        self.sizes = [1, 2]
        self.generator, self.kp_detector = Holder(motion["generator"]), Holder(motion["kp_detector"])
        self.again = self.generator

    def forward(self, x: Any) -> Any:
        return x


@pytest.mark.slow
def test_torch_script_is_read_as_data(tmp_path: Path, lips: dict[str, Any], motion: dict[str, Any]) -> None:
    halves = {key: value.half() if value.is_floating_point() else value for key, value in lips["state_dict"].items()}
    (tmp_path / "lips.pth").write_bytes(scripted(halves))
    assert_same(read_wav2lip(tmp_path / "lips.pth"), halves)
    (tmp_path / "motion.pth").write_bytes(scripted(Wrapper(motion)))
    model = read_motion(tmp_path / "motion.pth")
    assert_same(model.generator, motion["generator"])
    assert_same(model.detector, motion["kp_detector"])


def changed(file: Path, **entries: bytes) -> Path:
    """A zip with some entries replaced (by the end of their names)."""
    out = file.with_name("changed.pth")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            end = entry.filename.partition("/")[2]
            new.writestr(entry, entries.get(end, old.read(entry)))
    return out


def test_torch_script_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    good = tmp_path / "good.pth"
    good.write_bytes(scripted({"a.weight": torch.ones(4)}))
    with zipfile.ZipFile(good) as archive:
        pickled = next(archive.read(entry) for entry in archive.namelist() if entry.endswith("/data.pkl"))
    (tmp_path / "frozen.pth").write_bytes(changed(good, **{"data.pkl": b"\x80\x02c__torch__\nM\n)\x81."}).read_bytes())
    assert "without named weights" in refused(read_torch_file, tmp_path / "frozen.pth")
    for replaced, says in {
        b"cos\nsystem\n": "nothing was run",
        b"ctorch._utils\n_rebuild_qtensor\n": "quantised",
    }.items():
        name = b"ctorch._utils\n_rebuild_tensor_v2\n"
        assert name in pickled
        assert says in refused(read_torch_file, changed(good, **{"data.pkl": pickled.replace(name, replaced)}))
    assert "damaged" in refused(read_torch_file, changed(good, **{"data/0": b"short"}))
    assert "big-endian" in refused(read_torch_file, changed(good, byteorder=b"big"))
    whole = good.read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    assert "cut off" in refused(read_torch_file, tmp_path / "cut.pth")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><title>Quota</title>", "is a web page, saved in place of the file"),
        (b"", "is empty"),
        (b"not a model\n" * 99, "is a text (it begins: not a model"),
        (bytes(4096), "is nothing but zeros"),
        (b"\x80\x04]\x94.", "--family deepfacelab"),
        (b"\x08\x09\x3a\x00", "is an ONNX network"),
        (b"\x9c" * 99, "no kind of file that is known here"),
    ],
)
def test_look_alikes_are_named_for_what_they_are(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "lips.pth").write_bytes(content)
    assert says in refused(read_wav2lip, tmp_path / "lips.pth")


def test_the_judge_of_wav2lip_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {"face_encoder.0.conv_block.0.weight": torch.zeros(1)}}, tmp_path / "expert.pth")
    assert "SyncNet" in refused(read_wav2lip, tmp_path / "expert.pth")


def test_a_packed_archive_is_refused(tmp_path: Path, lips: dict[str, Any]) -> None:
    stream = io.BytesIO()
    torch.save({"state_dict": {"a": torch.zeros(10**6)}}, stream)
    with (
        zipfile.ZipFile(stream) as stored,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in stored.namelist():
            packed.writestr(entry, stored.read(entry))
    assert "compressed" in refused(read_torch_file, tmp_path / "packed.pth")
