"""The YAML files of First Order Motion Models: read as data, and refused in one line."""

from pathlib import Path

import pytest
from bundles import one_line

pytest.importorskip("yaml", reason="the export needs the extra `export`")

from export.families.first_order_motion import MAX_YAML_BYTES, read_motion_yaml
from export.networks.motion_config import PUBLISHED, Hourglass
from realtime.errors import ConfigError

GOOD = """
dataset_params:
  root_dir: data/vox-png
  frame_shape: [256, 256, 3]
model_params:
  common_params: {num_kp: 10, num_channels: 3, estimate_jacobian: True}
  kp_detector_params:
    {temperature: 0.1, block_expansion: 32, max_features: 1024, scale_factor: 0.25, num_blocks: 5}
  generator_params:
    block_expansion: 64
    max_features: 512
    num_down_blocks: 2
    num_bottleneck_blocks: 6
    estimate_occlusion_map: True
    dense_motion_params: {block_expansion: 64, max_features: 1024, num_blocks: 5, scale_factor: 0.25}
  discriminator_params: {scales: [1], block_expansion: 32}
train_params: {num_epochs: 100}
"""


def write(tmp_path: Path, text: str | bytes) -> Path:
    file = tmp_path / "vox.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def refusal(tmp_path: Path, text: str | bytes) -> str:
    return one_line(lambda: read_motion_yaml(write(tmp_path, text)), ConfigError)


def test_a_published_file_is_the_published_config(tmp_path: Path) -> None:
    found = read_motion_yaml(write(tmp_path, GOOD))
    assert found.config == PUBLISHED["vox-256"]
    assert found.size == 256
    assert read_motion_yaml(write(tmp_path, GOOD.replace("  frame_shape: [256, 256, 3]\n", ""))).size is None


def test_the_recorded_files_are_read(shared: Path) -> None:
    small = read_motion_yaml(shared / "reference" / "fomm_small.yaml")
    assert (small.config.generator, small.size) == (Hourglass(8, 64, 2), None)
    assert read_motion_yaml(shared / "reference" / "fomm_small_mgif.yaml").config.single_jacobian


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no model_params"),
        ("- 1\n- 2", "no model_params"),
        ("model_params: 3", "no model_params"),
        ("a: [1", "no plain YAML"),
        (b"\xff\xfe\x00", "no plain YAML"),
        ("a: !!python/object/apply:os.system ['touch canary']", "no plain YAML"),
        ("a: &x 1\nb: *x", "references"),
        ("a: &x {b: 1}\nc: {<<: *x}", "references"),
        ("[" * 20_000, "nested deeper"),
        ("a: " + "9" * 20_000, "no plain YAML"),
        ("a: 2001-99-99", "no plain YAML"),
        ("# " + "x" * MAX_YAML_BYTES, "larger than"),
        (GOOD.replace("[256, 256, 3]", "[256, 128, 3]"), "frame_shape"),
        (GOOD.replace("[256, 256, 3]", "wide"), "frame_shape"),
        (GOOD.replace("num_kp: 10", "num_kp: -1"), "num_kp"),
        (GOOD.replace("num_kp: 10", "num_kp: .inf"), "num_kp"),
        (GOOD.replace("temperature: 0.1", "temperature: '\x1b[2J'"), "vox.yaml"),
    ],
)
def test_what_is_amiss_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in refusal(tmp_path, text)
    assert not (tmp_path / "canary").exists()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in one_line(lambda: read_motion_yaml(tmp_path / "none.yaml"), ConfigError)
    assert "cannot be read" in one_line(lambda: read_motion_yaml(tmp_path), ConfigError)
