"""The exported ONNX gives what upstream's programs gave, and is what every runtime can read."""

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import one_line
from deepfacelab_models import filled, write_model, write_smallest
from exported import SAEHD_OUTPUTS, check_motion, exported, on_cpu, planar, recorded, verified, worst

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")
pytest.importorskip("onnx", reason="the export needs the extra `export`")

from export.families.deepfacelab import plan_deepfacelab  # noqa: E402
from export.families.first_order_motion import plan_first_order_motion  # noqa: E402
from export.networks.autoencoder import Archi  # noqa: E402
from export.plan import NetworkSpec  # noqa: E402
from export.samples import mel_windows, pictures  # noqa: E402
from export.to_onnx import OPSET, to_onnx, verify  # noqa: E402
from realtime.inference.onnx_file import check_onnx  # noqa: E402

FAST_ARCHIS = ("df-tc", "liae-udtc")
"""Every letter on both kinds, in few exports, with df-ud and liae-ud of the recorded files. All 32 archis draw
what upstream drew in torch (test_export_autoencoder), and every export is compared with torch."""


@pytest.mark.slow
def test_a_recorded_liae_gives_what_upstream_gave(shared: Path) -> None:
    plan = plan_deepfacelab(shared / "reference" / "saehd" / "microliae_SAEHD_data.dat")
    wanted = recorded(shared / "reference" / "saehd" / "microliae_SAEHD_out.npz")
    drawn = on_cpu(exported(plan.networks[0]).content).run({"face": planar(wanted["in_face"][:1])})
    for ours, theirs in SAEHD_OUTPUTS.items():
        assert worst(drawn[ours], planar(wanted[theirs][:1])) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("archi", FAST_ARCHIS)
def test_the_flags_give_what_upstream_gave(shared: Path, tmp_path: Path, archi: str) -> None:
    folder = shared / "reference" / "saehd"
    names = json.loads((folder / "saehd_combos_names.json").read_text())
    key = next(name for name in names if Archi.parse(name) == Archi.parse(archi))
    parts = filled(names[key], gain=0.7 if {"u", "c"} <= set(archi.partition("-")[2]) else 1.0)
    plan = plan_deepfacelab(write_model(tmp_path / "model", parts, archi=archi))
    session = on_cpu(exported(plan.networks[0]).content)
    wanted = recorded(folder / "saehd_combos_out.npz")
    drawn = session.run({"face": planar(wanted["in_face"][:1])})
    for ours, theirs in SAEHD_OUTPUTS.items():
        assert worst(drawn[ours], planar(wanted[f"{key}/{theirs}"][:1])) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "align_corners", "files"),
    [("fomm_small", True, ["frame.onnx"]), ("fomm_small_mgif", False, ["keypoints.onnx"])],
)
def test_other_motion_models_give_what_upstream_gave(
    shared: Path, tmp_path: Path, name: str, align_corners: bool, files: list[str]
) -> None:
    """Only the network that differs from fomm_small's is exported; the others are torch's."""
    wanted = recorded(shared / "reference" / f"{name}.npz")
    size = wanted["source"].shape[0]
    yaml = (shared / "reference" / f"{name}.yaml").read_text()
    (tmp_path / "m.yaml").write_text(f"{yaml}\ndataset_params:\n  frame_shape: [{size}, {size}, 3]\n")
    plan = plan_first_order_motion(
        shared / "reference" / f"{name}.pth.tar", config=str(tmp_path / "m.yaml"), align_corners=align_corners
    )
    networks = {part.file: on_cpu(exported(part).content) if part.file in files else part for part in plan.networks}
    check_motion(networks, wanted, align_corners=align_corners)


# -- without the references


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> NetworkSpec:
    return plan_deepfacelab(write_smallest(tmp_path_factory.mktemp("tiny") / "model", "df-ud")).networks[0]


def shapes(model: Any) -> dict[str, list[Any]]:
    return {
        value.name: [side.dim_value or side.dim_param for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }


@pytest.fixture(scope="module")
def model(tiny: NetworkSpec) -> Any:
    return to_onnx(tiny)


def test_the_file_is_static_checked_and_says_nothing_of_this_machine(tiny: NetworkSpec, model: Any) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        again = to_onnx(tiny)
    assert not heard, "torch's own remarks reach no user"
    assert shapes(model) == {
        "face": [1, 3, 32, 32],
        "celeb_face": [1, 3, 32, 32],
        "celeb_mask": [1, 1, 32, 32],
        "driver_mask": [1, 1, 32, 32],
    }
    made = verified(model, tiny, "fp32")
    assert (made.opset, made.precision, made.parity.samples) == (OPSET, "fp32", 4)
    assert made.parity.worst.worst <= 1e-4
    assert check_onnx(made.content, "x") == "fp32"
    for trace in (b".py", b"stack_trace", b"site-packages", str(Path(__file__).resolve().parents[2]).encode()):
        assert trace not in made.content
    assert again.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


@pytest.mark.slow
def test_an_open_batch_is_run_with_two(tiny: NetworkSpec) -> None:
    made = exported(tiny, dynamic_batch=True)
    assert made.parity.samples == 5
    session = on_cpu(made.content)
    assert session.inputs["face"].shape == (None, 3, 32, 32)
    both = np.concatenate(pictures(32, 2))
    one = session.run({"face": both[1:]})["celeb_face"]
    assert worst(session.run({"face": both})["celeb_face"][1:], one) <= 1e-5


class Sways(torch.nn.Module):
    """Gives something else while it is being exported: what a tracing mistake would do."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: Any) -> Any:
        return x * self.weight + (self.by if torch.compiler.is_exporting() else 0.0)


@pytest.mark.parametrize(("by", "says"), [(2e-4, "fp32 may be 1e-04"), (float("nan"), "no numbers")])
def test_a_file_that_gives_other_numbers_is_refused(by: float, says: str) -> None:
    part = NetworkSpec(
        "sways.onnx",
        Sways(by).eval().requires_grad_(False),
        ("x",),
        {"y": "picture"},
        lambda count: [{"x": picture} for picture in pictures(16, count)],
        frozenset({"x"}),
    )
    model = to_onnx(part)
    line = one_line(lambda: verified(model, part, "fp32"))
    assert line.startswith("sways.onnx: y ")
    assert says in line


def test_the_comparison_sees_the_file_and_nothing_else(tmp_path: Path, tiny: NetworkSpec, model: Any) -> None:
    """One weight changed on the disk, after the graph was made, by little: the file as it lies is what counts."""
    file = tmp_path / "swap.onnx"
    file.write_bytes(model.SerializeToString())
    assert verify(file, tiny, "fp32").content == file.read_bytes()
    largest = max((t for t in model.graph.initializer if t.data_type == 1), key=lambda t: math.prod(t.dims))
    content, at = bytearray(file.read_bytes()), file.read_bytes().index(largest.raw_data)
    content[at + 3] ^= 0x40  # the exponent of its first number
    file.write_bytes(content)
    assert one_line(lambda: verify(file, tiny, "fp32")).startswith("swap.onnx: ")


def test_a_network_that_cannot_be_exported_says_so() -> None:
    class Branches(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x if x.sum() > 0 else -x

    part = NetworkSpec(
        "b.onnx", Branches(), ("x",), {"y": "picture"}, lambda n: [{"x": p} for p in pictures(16, n)], frozenset()
    )
    assert "b.onnx cannot be written as ONNX" in one_line(lambda: to_onnx(part))


def test_a_network_too_large_for_one_file_is_refused_before_the_work() -> None:
    with torch.device("meta"):
        network = torch.nn.Linear(1 << 15, 1 << 15)
    part = NetworkSpec(
        "big.onnx",
        network,
        ("x",),
        {"y": "numbers"},
        lambda n: [{"x": np.zeros((1, 1 << 15), np.float32)}],
        frozenset(),
    )
    assert "MiB of weights" in one_line(lambda: to_onnx(part))


def test_samples_are_seeded_and_in_range() -> None:
    for make, low, high in ((lambda: pictures(24, 4), 0, 1), (lambda: mel_windows(4), -4, 4)):
        first, again = make(), make()
        for one, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == np.float32
            assert low <= one.min() <= one.max() <= high
        assert len({one.tobytes() for one in first}) == 4
    assert pictures(24, 1)[0].std() > 0.05
