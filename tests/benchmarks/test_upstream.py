"""The contests against upstream: what is run, that all sides compute the same, and the verdict."""

from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from fakes import FakeSource

from benchmarks.latency import configure, latency
from realtime.errors import ConfigError

torch = pytest.importorskip("torch", reason="the contest needs the extra `export`")

from benchmarks import upstream as contests  # noqa: E402
from benchmarks.upstream import Runner, Upstream, formatted, judge, measure_families, measure_family  # noqa: E402
from export.dfm_format import to_dfm  # noqa: E402
from export.networks.autoencoder import DFM_INPUT, DFM_OUTPUTS, Archi, DfmLayout, SaehdShape, saehd  # noqa: E402
from export.networks.wav2lip import Level, LipShape  # noqa: E402
from export.plan import NetworkSpec  # noqa: E402
from export.to_onnx import to_onnx  # noqa: E402
from realtime.inference.ort import open_session  # noqa: E402

SMALL = SaehdShape(Archi.parse("df-ud"), 32, 8, 4, 4, 2)


@pytest.mark.slow
def test_deepfacelabs_way_of_writing_gives_the_same_numbers() -> None:
    torch.manual_seed(0)
    feed: Any = {DFM_INPUT: np.random.default_rng(0).random((1, 32, 32, 3), np.float32)}
    kinds: Any = dict.fromkeys(DFM_OUTPUTS, "picture")
    layout = DfmLayout(saehd(SMALL).eval())
    spec = NetworkSpec("", layout, (DFM_INPUT,), kinds, lambda n: [feed][:n], frozenset())
    plain = to_dfm(to_onnx(spec, simplified=False))
    spelled = onnx.ModelProto()
    spelled.CopyFrom(plain)
    spelled = contests.spelled_out(spelled)
    onnx.checker.check_model(spelled, full_check=True)
    assert "DepthToSpace" not in [node.op_type for node in spelled.graph.node]
    assert all(len(node.input) == 2 for node in spelled.graph.node if node.op_type == "Conv")
    wanted, got = (open_session(m.SerializeToString(), provider="cpu").run(feed) for m in (plain, spelled))
    for name in DFM_OUTPUTS:
        np.testing.assert_allclose(got[name], wanted[name], atol=1e-6)


@pytest.mark.slow
def test_a_contest_names_everyone_and_all_agree() -> None:
    found = measure_family(contests.deepfacelab(SMALL), 1, runs=5, seconds=5)
    theirs, *ours = found["results"]
    assert theirs["upstream"]
    assert theirs["title"].startswith("upstream (DeepFaceLive")
    assert "cpu fp32" in [result["title"] for result in ours]
    for result in ours:
        limit = 1e-5 if result["precision"] == "fp32" else 0.1
        assert all(entry["worst"] < limit for entry in result["difference"])
        assert result["wall_ms"]["min"] > 0
    assert found["not_measured"]["int8"] == "asked for with --int8"
    assert [target["wanted"] for target in found["targets"]] == [3.0]
    lines = formatted(found)
    assert lines[0] == "swap: DeepFaceLab SAEHD df-ud, 32 px, one frame, threads 1; 5 rounds"
    assert any("3 times wanted" in line for line in lines)


def test_a_chain_hands_on_what_the_next_one_needs() -> None:
    class Step:
        def __init__(self, inputs: list[str], give: Any) -> None:
            self.inputs, self.give = dict.fromkeys(inputs), give

        def run(self, feed: dict[str, Any]) -> dict[str, Any]:
            assert feed.keys() == self.inputs.keys()
            return self.give(feed)

    steps: Any = [
        Step(["driving"], lambda f: {"points": f["driving"] + 1}),
        Step(["features", "driving_points"], lambda f: {"picture": f["features"] * f["driving_points"]}),
    ]
    made_up: Any = {"fixed": {"features": 10}, "wiring": {"driving_points": "points"}}
    wired = Upstream("f", "w", (), {}, [], "how", lambda threads: Runner(dict), **made_up)
    assert wired.ours(steps).run({"driving": 2}) == {"picture": 30}  # type: ignore[dict-item]


def test_the_verdict_takes_the_best_of_the_right_precision() -> None:
    results = [
        {"title": title, "precision": precision, "upstream": n == 0, "times_as_fast": {"in_rounds": times}}
        for n, (title, precision, times) in enumerate(
            [("upstream", "fp32", 99.0), ("cpu fp32", "fp32", 2.1), ("cuda bf16", "bf16", 4.0)]
        )
    ]
    exact, fastest = judge("motion", results)
    assert (exact["reached"], exact["by"], exact["met"]) == (2.1, "cpu fp32", True)
    assert (fastest["reached"], fastest["by"], fastest["met"]) == (4.0, "cuda bf16", False)
    nothing = judge("swap", results[:1])[0]
    assert (nothing["reached"], nothing["met"]) == (None, False)
    assert contests.TARGETS.keys() == contests.FAMILIES.keys()


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(ConfigError, match="there is no family voice: choose of motion, lip-sync, swap"):
        measure_families(["voice"], (1,), runs=5, seconds=1, say=print)


@pytest.mark.slow
def test_both_sides_compute_the_same_on_seeded_weights() -> None:
    faces, pictures = (Level(4, 0), Level(4, 1), Level(8, 0)), (Level(8, 1), Level(8, 0), Level(4, 1))
    contest = contests.wav2lip(LipShape(face=faces, picture=pictures, head=4))
    wanted = contest.theirs(1).run(contest.feeds[0])["mouth"]
    session = open_session(to_onnx(contest.networks[0]).SerializeToString(), provider="cpu", threads=1)
    got = contest.ours([session]).run(contest.feeds[0])["mouth"]
    # Weights made so that outputs fill their range: differences would show.
    assert wanted.std() > 0.05
    assert np.abs(got - wanted).max() < 1e-4


def test_frames_go_round_without_a_jump() -> None:
    source = FakeSource([np.full((120, 160, 3), n, np.uint8) for n in range(4)])
    frames = [frame for _ in range(4) if (frame := source.read()) is not None]
    shown = [next(shown) for shown in [contests.round_and_round(frames)] for _ in range(9)]
    assert [int(frame.pixels[0, 0, 0]) for frame in shown] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [frame.seq for frame in shown] == list(range(9))


@pytest.mark.slow
def test_our_whole_frame_and_their_network_take_turns() -> None:
    runs: list[int] = []

    def small() -> Upstream:
        theirs = Runner(lambda feed: runs.append(1) or {})
        return Upstream("motion", "a small network", (), {}, [{}], "how", lambda threads: theirs)

    options = {"model": "motion", "avatar": "mira", "size": "320x180", "pace": "live", "fps": 30.0}
    found = contests.whole_frame(configure(None, 60, (), options), rounds=5, seconds=2, contest=small)
    assert found["ours"]["runs"] == found["upstream"]["runs"] == len(runs) - 1 == 5
    assert found["ours"]["without_a_picture"] == 0
    assert (found["wanted"], found["met"]) == (8.0, False)  # nothing at all is quicker than all we do


def test_a_swap_model_has_no_such_contest() -> None:
    with pytest.raises(ConfigError, match="moves no pictures"):
        CliRunner().invoke(latency, ["--model", "ada", "--against-upstream"], catch_exceptions=False)
