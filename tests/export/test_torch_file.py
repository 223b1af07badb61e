"""Foreign torch files: hostile, damaged or of another family, they end in one line and nothing else."""

import io
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")

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
        (lambda s: {k: v for k, v in s.items() if "audio" not in k}, "and 90 more"),
        (lambda s: put(s, "wings.weight", torch.zeros(2)), "has unknown wings.weight"),
        (lambda s: put(s, LEAST, torch.zeros(3)), f"{LEAST} is 3, wanted is 2"),
        (lambda s: put(s, LEAST, torch.full((2,), float("nan"))), "not finite"),
        (lambda s: put(s, LEAST, torch.zeros(2, dtype=torch.int32)), "int32, wanted is torch.float32"),
        (lambda s: put(s, LEAST, torch.zeros(2).to_sparse()), "not a plain named tensor"),
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
    assert "no checkpoint at" in refused(read_wav2lip, tmp_path / "folder.pth")
    for name, content in {"empty.pth": b"", "text.pth": b"not a model\n" * 99, "zeros.pth": bytes(4096)}.items():
        (tmp_path / name).write_bytes(content)
        assert "is no torch checkpoint" in refused(read_torch_file, tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    assert "holds a list" in refused(read_torch_file, tmp_path / "list.pth")


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


@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_files_end_in_one_line(tmp_path: Path, motion: dict[str, Any], legacy: bool) -> None:
    stream = io.BytesIO()
    torch.save(motion, stream, _use_new_zipfile_serialization=not legacy)
    good, chance = stream.getvalue(), random.Random(11)
    ends: list[str] = []
    for number in range(48):
        bad = bytearray(good)
        if number % 4 == 0:
            del bad[chance.randrange(len(bad)) :]
        else:
            for _ in range(1 + number % 5):
                # The first part holds the names and the structure, where flips hurt most.
                bad[chance.randrange(len(bad) // (8 if number % 2 else 1))] ^= 1 << chance.randrange(8)
        file = tmp_path / f"{number}.pth"
        file.write_bytes(bad)
        try:
            read_motion(file)
        except ModelError as error:
            ends.append(str(error))
    assert len(ends) >= 12
    assert not any("\n" in text for text in ends)
