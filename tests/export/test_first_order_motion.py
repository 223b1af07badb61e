"""First Order Motion Model: the same numbers as upstream's, the same names, and nothing else gets in."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import one_line

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")

from torch_keyfill import filled, keyfill  # noqa: E402

from export.families.first_order_motion import MAX_YAML_BYTES, read_first_order_motion, read_motion_yaml  # noqa: E402
from export.networks.first_order_motion import FrameDriver, Shrink, SourceEncoder, build, grid, inverse, product  # noqa: E402
from export.networks.motion_config import PUBLISHED, Hourglass, MotionConfig, config_from_params  # noqa: E402
from realtime.errors import ConfigError, ModelError  # noqa: E402
from realtime.families.motion.first_order.keypoints import KeyPoints, RelativeMotion  # noqa: E402

SMALL = MotionConfig(
    detector=Hourglass(8, 64, 2), generator=Hourglass(8, 64, 2), bottleneck=2, motion=Hourglass(8, 64, 2)
)
RECORDED = ("vox-256", "vox-adv-256", "taichi-256", "mgif-256")


@pytest.fixture(autouse=True)
def _no_grad() -> Any:
    with torch.no_grad():
        yield


def keys(state: Any) -> list[list[Any]]:
    return [[name, list(value.shape), str(value.dtype).removeprefix("torch.")] for name, value in state.items()]


def picture(pixels: Any) -> Any:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("name", ["fomm_small", "fomm_small_mgif"])
def test_every_number_is_upstreams(shared: Path, name: str, align_corners: bool) -> None:
    model = read_first_order_motion(shared / "reference" / f"{name}.pth.tar", align_corners=align_corners)
    assert model.config.single_jacobian == name.endswith("mgif")
    recorded = dict(np.load(shared / "reference" / f"{name}.npz"))
    features, small, *avatar = SourceEncoder(model)(picture(recorded["source"]))
    seen = {"source": avatar}
    for which in ("initial", "driving"):
        seen[which] = model.detector(picture(recorded[which]))
    points = {which: KeyPoints(*(part[0].numpy() for part in pair)) for which, pair in seen.items()}
    for which, found in points.items():
        assert np.abs(found.value - recorded[f"kp_{which}_value"][0]).max() <= 1e-5
        assert np.abs(found.jacobian - recorded[f"kp_{which}_jacobian"][0]).max() <= 1e-5
    driven = {
        "abs": points["driving"],
        "rel": RelativeMotion(points["source"], points["initial"])(points["driving"]),
        "rel_adapt": RelativeMotion(points["source"], points["initial"], adapt_scale=True)(points["driving"]),
    }
    for mode, target in driven.items():
        feed = [torch.from_numpy(part)[None] for part in (target.value, target.jacobian)]
        drawn, mask, occlusion = model.generator.drive(features, small, *avatar, *feed)
        assert torch.equal(drawn, FrameDriver(model)(features, small, *avatar, *feed))
        wanted = recorded[f"prediction_{mode}{'_align_corners_true' if align_corners else ''}"]
        # Some were stored in half precision: those are 2.5e-4 off by themselves.
        tolerance = 1e-4 if wanted.dtype == np.float32 else 5e-4
        assert np.abs(drawn.numpy() - wanted.astype(np.float32)).max() <= tolerance
        if not align_corners and mode != "rel":
            assert np.abs(mask.numpy() - recorded[f"mask_{mode}"]).max() <= 5e-4
            assert np.abs(occlusion.numpy() - recorded[f"occlusion_map_{mode}"]).max() <= 1e-4


def test_the_choice_of_corners_changes_the_picture(shared: Path) -> None:
    file = shared / "reference" / "fomm_small.pth.tar"
    source = picture(np.load(shared / "reference" / "fomm_small.npz")["source"])
    drawn = []
    for align_corners in (False, True):
        model = read_first_order_motion(file, align_corners=align_corners)
        assert model.align_corners is align_corners
        value, jacobian = model.detector(source)
        drawn.append(model.generator(source, value, jacobian, value + 0.1, jacobian))
    assert (drawn[0] - drawn[1]).abs().max() > 0.01


def test_the_old_stream_from_a_gpu_holds_the_same(shared: Path) -> None:
    old, new = (
        read_first_order_motion(shared / "reference" / name, align_corners=True)
        for name in ("fomm_small_legacy_cuda.pth.tar", "fomm_small.pth.tar")
    )
    assert old.config == new.config
    for part in ("detector", "generator"):
        ours, theirs = (getattr(model, part).state_dict() for model in (old, new))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_config_has_upstreams_names_and_shapes(shared: Path, name: str) -> None:
    same = name if name in RECORDED else "vox-256"  # those recorded differ in mgif's detector only
    recorded = json.loads((shared / "reference" / f"fomm_{same}_keys.json").read_text())
    with torch.device("meta"):
        model = build(PUBLISHED[name], align_corners=True)
    assert keys(model.generator.state_dict()) == recorded["generator"]
    assert keys(model.detector.state_dict()) == recorded["kp_detector"]
    if name in RECORDED:
        assert config_from_params(recorded["model_params"]) == PUBLISHED[name]


@pytest.mark.slow
def test_the_full_size_draws_what_upstream_draws(shared: Path) -> None:
    """vox-256 with the recipe's weights, against the statistics that were recorded of every array."""
    model = build(PUBLISHED["vox-256"], align_corners=True)
    for network, state in ((part, keyfill(part)) for part in (model.generator, model.detector)):
        network.load_state_dict(state, assign=True)
    pictures = np.load(shared / "reference" / "fomm_small.npz")  # the same three pictures
    features, small, *avatar = SourceEncoder(model)(picture(pictures["source"]))
    driving = model.detector(picture(pictures["driving"]))
    found = dict(zip(("kp_source_value", "kp_source_jacobian"), avatar, strict=True))
    found |= dict(zip(("kp_driving_value", "kp_driving_jacobian"), driving, strict=True))
    found["prediction_abs_align_corners_true"] = FrameDriver(model)(features, small, *avatar, *driving)
    recorded = json.loads((shared / "reference" / "fomm_vox-256_stats.json").read_text())["keyfill_v1"]
    for name, value in found.items():
        ours, theirs = value.numpy().ravel(), recorded[name]
        assert np.abs(ours[theirs["probe_index"]] - theirs["probe_value"]).max() <= 1e-5
        assert [ours.min(), ours.max()] == pytest.approx([theirs["min"], theirs["max"]], abs=1e-5)
        assert ours.mean(dtype=np.float64) == pytest.approx(theirs["mean"], abs=1e-6)
        assert np.linalg.norm(ours.astype(np.float64)) == pytest.approx(theirs["l2"], rel=1e-6)


def test_the_recipes_check_values() -> None:
    assert filled("kp.weight", (10, 35, 7, 7)).ravel()[:3] == pytest.approx([0.006417394, -0.001468158, -0.014478779])
    assert filled("first.conv.bias", (64,))[:3] == pytest.approx([0.045345183, -0.020088064, 0.009012516])


def test_the_closed_forms() -> None:
    rng = torch.Generator().manual_seed(3)
    left, right = (torch.randn(2, 10, 2, 2, generator=rng, dtype=torch.float64) for _ in range(2))
    assert torch.allclose(inverse(left), torch.linalg.inv(left), rtol=1e-9)
    assert torch.allclose(product(left, right), left @ right, rtol=1e-12)
    places = grid(3, 5, left)
    assert places[0, 0].tolist() == [-1, -1]
    assert places[2, 4].tolist() == [1, 1]
    assert places[1, 2].tolist() == [0, 0]


def test_the_blur_is_the_one_in_the_checkpoint(shared: Path) -> None:
    stored = torch.load(shared / "reference" / "fomm_small.pth.tar", map_location="cpu", weights_only=True)
    assert torch.allclose(Shrink(3, 4).weight, stored["kp_detector"]["down.weight"], atol=1e-7)


def test_features_and_motion_of_different_sizes() -> None:
    torch.manual_seed(1)
    model = build(replace(SMALL, generator=Hourglass(8, 64, 1)), align_corners=True)
    source = torch.rand(1, 3, 64, 64)
    value, jacobian = model.detector(source)
    jacobian = jacobian * 0 + torch.eye(2)  # untrained ones may have no inverse
    assert model.generator(source, value, jacobian, value, jacobian).shape == (1, 3, 64, 64)


PARAMS = {
    "common_params": {"num_kp": 10, "num_channels": 3, "estimate_jacobian": True},
    "kp_detector_params": {
        "temperature": 0.1, "block_expansion": 8, "max_features": 64, "scale_factor": 0.25, "num_blocks": 2
    },
    "generator_params": {
        "block_expansion": 8, "max_features": 64, "num_down_blocks": 2, "num_bottleneck_blocks": 2,
        "estimate_occlusion_map": True,
        "dense_motion_params": {"block_expansion": 8, "max_features": 64, "num_blocks": 2, "scale_factor": 0.25},
    },
}  # fmt: skip


def test_a_config_file_s_sizes() -> None:
    assert config_from_params(PARAMS) == SMALL


@pytest.mark.parametrize(
    ("part", "key", "value", "says"),
    [
        ("common_params", "num_kp", 0, "num_kp must be"),
        ("common_params", "num_kp", True, "num_kp must be"),
        ("common_params", "estimate_jacobian", False, "without Jacobians"),
        ("kp_detector_params", "scale_factor", 0.3, "scale_factor must be"),
        ("kp_detector_params", "temperature", 0, "temperature must be"),
        ("kp_detector_params", "temperature", float("nan"), "temperature must be"),
        ("kp_detector_params", "single_jacobian_map", 1, "single_jacobian_map must be"),
        ("kp_detector_params", "num_blocks", 99, "num_blocks must be"),
        ("generator_params", "dense_motion_params", None, "no dense_motion_params"),
        ("generator_params", "estimate_occlusion_map", False, "occlusion map"),
        ("generator_params", "wings", 2, "'wings'"),
    ],
)
def test_a_config_that_cannot_be_is_refused(part: str, key: str, value: object, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        config_from_params({**PARAMS, part: {**PARAMS[part], key: value}})


# -- YAML files: read as data, and refused in one line

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
