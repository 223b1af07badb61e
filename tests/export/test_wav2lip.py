"""Wav2Lip: the same numbers as upstream's, the same names, other sizes, and nothing else gets in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")

from torch_keyfill import filled, keyfill  # noqa: E402

from export.families.wav2lip import read_wav2lip  # noqa: E402
from export.networks.wav2lip import WAV2LIP_96, Level, LipShape, Wav2Lip, shape_of  # noqa: E402
from export.torch_file import fill, shapes_of  # noqa: E402
from realtime.errors import ModelError  # noqa: E402

TINY = LipShape(
    face=(Level(4, 0), Level(4, 1), Level(8, 0)), picture=(Level(8, 1), Level(8, 0), Level(4, 1)), code=512, head=4
)


@pytest.fixture(autouse=True)
def _no_grad() -> Any:
    with torch.no_grad():
        yield


def test_names_and_shapes_are_upstreams(shared: Path) -> None:
    with torch.device("meta"):
        state = Wav2Lip().state_dict()
    recorded = json.loads((shared / "reference" / "w2l_keys.json").read_text())["wav2lip"]
    assert [[k, list(v.shape), str(v.dtype).removeprefix("torch.")] for k, v in state.items()] == recorded
    assert shape_of(shapes_of(state)) == WAV2LIP_96
    assert WAV2LIP_96.size == 96


@pytest.mark.slow
def test_every_number_is_upstreams(shared: Path) -> None:
    with torch.device("meta"):
        network = Wav2Lip()
    fill(network, keyfill(network), "keyfill-v1")
    recorded = np.load(shared / "reference" / "w2l_keyfill_out.npz")
    whole = torch.from_numpy(recorded["faces_u8"]).permute(0, 3, 1, 2).float() / 255
    masked = whole.clone()
    masked[:, :, 48:] = 0
    code = network.encode_sound(torch.from_numpy(recorded["mel_windows"])[:, None])
    levels = network.encode_face(torch.cat([masked, whole], 1))
    assert np.abs(code.numpy() - recorded["audio_embedding"]).max() <= 1e-4
    assert np.abs(levels[-1].numpy() - recorded["face_embedding"]).max() <= 1e-4
    drawn = network.decode(code, levels)
    assert np.abs(drawn.numpy() - recorded["output"]).max() <= 1e-5


def test_the_recipes_check_value() -> None:
    first = filled("face_encoder_blocks.0.0.conv_block.0.weight", (16, 6, 7, 7)).ravel()[:3]
    assert first == pytest.approx([-0.016835503, -0.007363371, 0.109463833])


@pytest.mark.parametrize(("bottom", "levels", "size"), [(3, 3, 12), (4, 3, 16), (4, 4, 32)])
def test_other_squares(bottom: int, levels: int, size: int) -> None:
    shape = LipShape(
        face=(Level(4, 0), *[Level(4, 1)] * (levels - 1)), picture=tuple([Level(4, 1)] * levels), bottom=bottom, head=4
    )
    network = Wav2Lip(shape).eval()
    assert shape.size == size
    assert shape_of(shapes_of(network.state_dict())) == shape
    assert network(torch.zeros(2, 1, 80, 16), torch.zeros(2, 6, size, size)).shape == (2, 3, size, size)


def tiny_state() -> dict[str, Any]:
    network = Wav2Lip(TINY)
    return keyfill(network)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_is_read(tmp_path: Path, prefix: str, legacy: bool) -> None:
    state = tiny_state()
    file = tmp_path / "lips.pth"
    stored = {"state_dict": {prefix + key: value for key, value in state.items()}, "optimizer": None, "global_step": 5}
    torch.save(stored, file, _use_new_zipfile_serialization=not legacy)
    network = read_wav2lip(file)
    assert network.shape == TINY
    assert not network.training
    weights = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert all(torch.equal(value, state[key]) for key, value in weights.items())
    assert not any(weight.requires_grad for weight in network.parameters())


def test_half_precision_weights_become_single(tmp_path: Path) -> None:
    state = {k: v.half() if v.is_floating_point() else v for k, v in tiny_state().items()}
    torch.save({"state_dict": state}, tmp_path / "half.pth")
    assert all(p.dtype == torch.float32 for p in read_wav2lip(tmp_path / "half.pth").parameters())


def test_the_recorded_sample_of_the_format_is_read_and_found_incomplete(shared: Path) -> None:
    with pytest.raises(ModelError, match="is not a Wav2Lip checkpoint: it has no weight") as caught:
        read_wav2lip(shared / "reference" / "w2l_format_sample_legacy_cuda.pth")
    assert "module." not in str(caught.value)
