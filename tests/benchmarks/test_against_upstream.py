"""The contest against upstream: what is run, that all sides compute the same, and the verdict."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the contest needs the extra `export`")

from benchmarks.against_upstream import TARGETS, Chain, judge, measure_families, measure_family  # noqa: E402
from benchmarks.upstream_networks import FAMILIES, Upstream, spelled_out, wav2lip  # noqa: E402
from export.dfm_format import to_dfm  # noqa: E402
from export.networks.autoencoder import DFM_INPUT, DFM_OUTPUTS, Archi, DfmLayout, SaehdShape, saehd  # noqa: E402
from export.networks.wav2lip import Level, LipShape  # noqa: E402
from export.plan import NetworkSpec  # noqa: E402
from export.to_onnx import to_onnx  # noqa: E402
from realtime.errors import ConfigError  # noqa: E402
from realtime.inference.ort import open_session  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def contest() -> Upstream:
    """A SAEHD contest of 32 px."""
    torch.manual_seed(0)
    network = saehd(SaehdShape(Archi.parse("df-ud"), 32, 8, 4, 4, 2)).eval()
    faces = np.random.default_rng(0).random((2, 1, 3, 32, 32), np.float32)
    feeds: list[Any] = [{"face": face} for face in faces]
    turned: list[Any] = [{DFM_INPUT: face.transpose(0, 2, 3, 1).copy()} for face in faces]
    shown: Any = dict.fromkeys(DFM_OUTPUTS, "picture")
    kinds: Any = dict.fromkeys(("celeb_face", "celeb_mask", "driver_mask"), "picture")
    return Upstream(
        "swap",
        "small",
        (NetworkSpec("swap.onnx", network, ("face",), kinds, lambda n: feeds[:n], frozenset({"face"})),),
        kinds,
        feeds,
        {},
        {},
        None,
        NetworkSpec(
            "",
            DfmLayout(network),
            (DFM_INPUT,),
            shown,
            lambda n: turned[:n],
            frozenset(),
        ),
    )


@pytest.fixture(scope="module")
def dfm(contest: Upstream) -> onnx.ModelProto:
    """The contest's network as a plain .dfm."""
    assert contest.dfm is not None
    return to_dfm(to_onnx(contest.dfm, simplified=False))


def test_deepfacelabs_way_of_writing_gives_the_same_numbers(contest: Upstream, dfm: onnx.ModelProto) -> None:
    spelled = onnx.ModelProto()
    spelled.CopyFrom(dfm)
    spelled = spelled_out(spelled)
    onnx.checker.check_model(spelled, full_check=True)
    operators = [node.op_type for node in spelled.graph.node]
    assert "DepthToSpace" not in operators
    assert all(len(node.input) == 2 for node in spelled.graph.node if node.op_type == "Conv")
    assert contest.dfm is not None
    feed = contest.dfm.samples(1)[0]
    wanted, got = (open_session(m.SerializeToString(), provider="cpu").run(feed) for m in (dfm, spelled))
    for name in DFM_OUTPUTS:
        np.testing.assert_allclose(got[name], wanted[name], atol=1e-6)


def test_a_contest_names_everyone_and_all_agree(tmp_path: Path, contest: Upstream, dfm: onnx.ModelProto) -> None:
    (tmp_path / "swap.onnx").write_bytes(to_onnx(contest.parts[0]).SerializeToString())
    spelled = onnx.ModelProto()
    spelled.CopyFrom(dfm)
    (tmp_path / "model.dfm").write_bytes(spelled_out(spelled).SerializeToString())
    files: Any = {"fp32": [tmp_path / "swap.onnx"], "dfm": [tmp_path / "model.dfm"], "int8": "not asked for"}
    found = measure_family(contest, files, 1, runs=5, seconds=5)
    upstream, *ours = found["results"]
    assert upstream["upstream"]
    assert upstream["title"].startswith("upstream (DeepFaceLive")
    assert "cpu fp32" in [result["title"] for result in ours]
    for result in ours:
        limit = 1e-5 if result["precision"] == "fp32" else 0.1
        assert all(entry["worst"] < limit for entry in result["difference"])
        assert result["wall_ms"]["min"] > 0
    assert found["not_measured"]["int8"] == "not asked for"
    assert [target["wanted"] for target in found["targets"]] == [3.0]


def test_a_chain_hands_on_what_the_next_one_needs(contest: Upstream) -> None:
    class Step:
        def __init__(self, inputs: list[str], give: Any) -> None:
            self.inputs, self.give = dict.fromkeys(inputs), give

        def run(self, feed: dict[str, Any]) -> dict[str, Any]:
            assert feed.keys() == self.inputs.keys()
            return self.give(feed)

    wired = Upstream("f", "w", contest.parts, contest.outputs, [], {"features": 10}, {"driving_points": "points"}, None)
    steps: Any = [
        Step(["driving"], lambda f: {"points": f["driving"] + 1}),
        Step(["features", "driving_points"], lambda f: {"picture": f["features"] * f["driving_points"]}),
    ]
    assert Chain(wired, steps).run({"driving": 2}) == {"picture": 30}


def result(title: str, precision: str, times: float, upstream: bool = False) -> dict[str, Any]:
    return {"title": title, "precision": precision, "upstream": upstream, "times_as_fast": {"in_rounds": times}}


def test_the_verdict_takes_the_best_of_the_right_precision() -> None:
    results = [
        result("upstream", "fp32", 99.0, upstream=True),
        result("cpu fp32", "fp32", 2.1),
        result("torch bf16", "bf16", 4.0),
    ]
    exact, fastest = judge("motion", results)
    assert (exact["reached"], exact["by"], exact["met"]) == (2.1, "cpu fp32", True)
    assert (fastest["reached"], fastest["by"], fastest["met"]) == (4.0, "torch bf16", False)
    nothing = judge("swap", results[:1])[0]
    assert (nothing["reached"], nothing["met"]) == (None, False)
    assert TARGETS.keys() == FAMILIES.keys()


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(ConfigError, match="there is no family voice: choose of motion, lip-sync, swap"):
        measure_families(["voice"], (1,), runs=5, seconds=1, say=print)


def test_both_sides_compute_the_same_on_seeded_weights() -> None:
    shape = LipShape(
        face=(Level(4, 0), Level(4, 1), Level(8, 0)), picture=(Level(8, 1), Level(8, 0), Level(4, 1)), head=4
    )
    contest = wav2lip(shape)
    assert contest.eager is not None
    feed = contest.feeds[0]
    with torch.no_grad():
        wanted = contest.eager(feed)["mouth"]
    session = open_session(to_onnx(contest.parts[0]).SerializeToString(), provider="cpu", threads=1)
    got = Chain(contest, [session]).run(feed)["mouth"]
    # Weights made so that outputs fill their range: differences would show.
    assert wanted.std() > 0.05
    assert np.abs(got - wanted).max() < 1e-4
