"""int8 networks: as good as promised, or refused; the same every time; accepted by those who run them."""

import numpy as np
import onnx
import pytest
from bundles import one_line
from onnx import TensorProto, numpy_helper
from small_networks import faces, picture_network

from export.int8_judge import Limit
from export.quantise import quantise
from realtime.inference.ort import open_session

SEEN, UNSEEN = faces(12, 1), faces(4, 2)


def types(model: onnx.ModelProto) -> set[int]:
    return {tensor.data_type for tensor in model.graph.initializer}


def zeros(model: onnx.ModelProto) -> list[np.ndarray]:
    return [numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith("/zero")]


@pytest.mark.parametrize("half", [False, True])
def test_it_runs_in_int8_and_draws_what_fp32_draws(half: bool) -> None:
    model = picture_network(half=half)
    done = quantise(model, SEEN, held_out=UNSEEN)
    assert done.facts["layers_in_int8"] >= 2
    assert done.facts["psnr_db"]["drawn"] >= done.facts["limit_db"]["drawn"] == 38.0
    exact, near = (open_session(m.SerializeToString(), provider="cpu") for m in (model, done.model))
    assert near.precision == "int8"
    assert dict(near.inputs) == dict(exact.inputs)
    assert dict(near.outputs) == dict(exact.outputs)
    squares = [np.square(exact.run(feed)["drawn"] - near.run(feed)["drawn"]).mean() for feed in UNSEEN]
    assert -10 * np.log10(np.mean(squares)) >= 38.0
    assert max(squares) > 0  # it really was rounded


def test_the_cpu_really_multiplies_integers(tmp_path: object) -> None:
    import onnxruntime as ort

    model = quantise(picture_network(), SEEN, held_out=UNSEEN).model
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = f"{tmp_path}/optimized.onnx"
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    run = [node.op_type for node in onnx.load(f"{tmp_path}/optimized.onnx").graph.node]
    assert run.count("QLinearConv") == 3
    assert "Conv" not in run
    assert "QLinearAdd" in run  # what lies between two layers stays in integers
    assert "Relu" not in run  # the range of what the layer gives does its work


def test_the_same_samples_give_the_same_bytes() -> None:
    once, again = (quantise(picture_network(), SEEN, held_out=UNSEEN) for _ in range(2))
    assert once.model.SerializeToString() == again.model.SerializeToString()
    assert once.facts == again.facts


def test_the_form_for_tensorrt_is_symmetric_and_keeps_float_biases() -> None:
    done = quantise(picture_network(), SEEN, held_out=UNSEEN, form="tensorrt")
    assert types(done.model) == {TensorProto.FLOAT, TensorProto.INT8}
    assert not any(zero.any() for zero in zeros(done.model))
    made = {name: node.op_type for node in done.model.graph.node for name in node.output}
    layers = [node for node in done.model.graph.node if node.op_type == "Conv"]
    assert all(made[name] == "DequantizeLinear" for node in layers for name in node.input[:2])
    assert all(node.input[2].endswith(".bias") for node in layers)
    sums = next(node for node in done.model.graph.node if node.op_type == "Add")
    assert {made[name] for name in sums.input} == {"Conv", "Relu"}  # only layers see rounded values
    steps = [numpy_helper.to_array(t) for t in done.model.graph.initializer if t.name.endswith("weight/steps")]
    assert max(int(np.abs(s).max()) for s in steps) == 127


def test_the_form_for_cpus_never_overflows_sixteen_bits() -> None:
    done = quantise(picture_network(), SEEN, held_out=UNSEEN)
    steps = [numpy_helper.to_array(t) for t in done.model.graph.initializer if t.name.endswith("weight/steps")]
    assert max(int(np.abs(s).max()) for s in steps) * 255 * 2 <= np.iinfo(np.int16).max
    assert TensorProto.INT32 in types(done.model)


@pytest.mark.parametrize("form", ["cpu", "tensorrt"])
def test_a_network_that_int8_ruins_is_refused(form: str) -> None:
    says = one_line(lambda: quantise(picture_network(ruined=True), SEEN, held_out=UNSEEN, form=form))
    assert "only 0% of the work can be int8" in says


def test_what_was_held_out_decides() -> None:
    """Calibrated on dark pictures, it is good on them and cuts bright ones off."""
    dark = faces(12, 1, bright=0.02)
    assert quantise(picture_network(), dark, held_out=faces(4, 2, bright=0.02)).facts["work_in_int8"] > 0.9
    says = one_line(lambda: quantise(picture_network(), dark, held_out=UNSEEN))
    assert "'drawn'" in says
    assert "held out, the limit is 38.0" in says


def test_a_layer_that_hurts_stays_in_fp32_and_the_others_do_not() -> None:
    """Asked for more than all layers in int8 can give, it leaves out those that take most from it."""
    all_of_it = quantise(picture_network(), SEEN, held_out=UNSEEN, form="tensorrt").facts["psnr_db"]["drawn"]
    limit = Limit(psnr_db=all_of_it + 2, least_work=0.1)
    done = quantise(picture_network(), SEEN, held_out=UNSEEN, limit=limit, form="tensorrt")
    kept = set(done.facts["kept_in_fp32"])
    assert kept
    assert 0 < done.facts["layers_in_int8"] == 3 - len(kept)
    assert done.facts["psnr_db"]["drawn"] >= all_of_it + 2
    floats = {t.name for t in done.model.graph.initializer if t.data_type == TensorProto.FLOAT}
    assert {f"{name}.weight" for name in kept} == {name for name in floats if name.endswith(".weight")}


def test_nodes_named_to_be_kept_are() -> None:
    done = quantise(picture_network(), SEEN, held_out=UNSEEN, keep=["second"], limit=Limit(least_work=0.1))
    assert done.facts["kept_in_fp32"] == ["second"]
    assert "second.weight" in {t.name for t in done.model.graph.initializer if t.data_type == TensorProto.FLOAT}
    says = one_line(lambda: quantise(picture_network(), SEEN, held_out=UNSEEN, keep=["fourth"]))
    assert "no node 'fourth'" in says


def test_more_fp32_than_is_worth_it_is_refused() -> None:
    limit = Limit(least_work=0.9)
    says = one_line(lambda: quantise(picture_network(), SEEN, held_out=UNSEEN, keep=["second"], limit=limit))
    assert "wanted 90%" in says


def test_errors_count_where_they_are_seen() -> None:
    """A picture under an empty mask may be anything; under a full one it counts as without."""
    model = picture_network()
    model.graph.output.append(onnx.helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 1, 1, 1]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "shown"))
    model.graph.node.append(onnx.helper.make_node("Identity", ["shown"], ["mask"], "mask"))
    plain = quantise(model, SEEN, held_out=UNSEEN).facts["psnr_db"]["drawn"]
    seen = quantise(model, SEEN, held_out=UNSEEN, limit=Limit(seen={"drawn": "mask"})).facts["psnr_db"]
    assert seen == {"drawn": plain, "mask": 120.0}


def with_opset(version: int) -> onnx.ModelProto:
    model = picture_network()
    model.opset_import[0].version = version
    return model


def without_shapes() -> onnx.ModelProto:
    model = picture_network()
    for size in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        size.dim_param = "side"
    for size in model.graph.output[0].type.tensor_type.shape.dim[2:]:
        size.dim_param = "side"
    return model


def test_what_cannot_be_quantised_is_named() -> None:
    broken = picture_network()
    broken.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.full((12, 3, 3, 3), np.inf, np.float32), "first.weight")
    )
    done = quantise(picture_network(), SEEN, held_out=UNSEEN).model
    empty = picture_network()
    del empty.graph.node[:-1]
    empty.graph.node[0].input[0] = "face"
    for model, says in (
        (with_opset(12), "opset is 12"),
        (without_shapes(), "export static shapes"),
        (broken, "no numbers"),
        (done, "quantised already"),
        (empty, "no layer that int8"),
    ):
        assert says in one_line(lambda model=model: quantise(model, SEEN, held_out=UNSEEN))
    assert "give pictures for both" in one_line(lambda: quantise(picture_network(), SEEN, held_out=[]))


def test_it_says_what_it_does_and_how_far_it_is() -> None:
    said: list[str] = []
    quantise(picture_network(), SEEN, held_out=UNSEEN, limit=Limit(psnr_db=60, least_work=0.0), say=said.append)
    assert said[0].startswith("int8: ranges of ")
    assert "3 layers in int8: " in said[1]
    assert said[1].endswith("dB worse than the plan must be")
    assert any("3 of 3 layers measured alone (run " in line for line in said)
    assert any("left out: " in line for line in said)
    assert "judged on 4 others" in said[-1]
    assert all("\n" not in line for line in said)


def runs(said: list[str]) -> tuple[int, int]:
    """The last run that was told, and the most there could be."""
    line = next(line for line in reversed(said) if "(run " in line)
    run, most = line.split("(run ")[1].removesuffix(" at most)").split(" of ")
    return int(run), int(most)


def test_a_spent_budget_ends_the_search_and_not_the_promise() -> None:
    all_of_it = quantise(picture_network(), SEEN, held_out=UNSEEN, form="tensorrt").facts["psnr_db"]["drawn"]
    limit = Limit(psnr_db=all_of_it + 2, least_work=0.1)
    told: dict[float, list[str]] = {}
    done = {}
    for budget in (1.0, 1e12):
        said = told[budget] = []
        done[budget] = quantise(
            picture_network(), SEEN, held_out=UNSEEN, limit=limit, form="tensorrt", say=said.append, budget=budget
        )
        assert done[budget].facts["psnr_db"]["drawn"] >= all_of_it + 2
        assert done[budget].facts["layers_in_int8"] >= 1
    assert runs(told[1.0])[1] == 4 * 3  # so many for each layer, whatever the budget
    assert runs(told[1.0])[0] < runs(told[1e12])[0]
    assert any("no more ranges are searched for" in line for line in told[1.0])
    assert not any("no more ranges" in line for line in told[1e12])
    again = quantise(picture_network(), SEEN, held_out=UNSEEN, limit=limit, form="tensorrt", budget=1.0)
    assert again.model.SerializeToString() == done[1.0].model.SerializeToString()
