"""DeepFaceLab's files are read as data: nothing in them is run, and what is wrong is said in one line."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deepfacelab_models import SMALLEST, filled, names_of, smallest_parts, write_smallest

torch = pytest.importorskip("torch", reason="torch is not installed (pip install '.[export]')")

from export.families.deepfacelab import QUICK96, plan_deepfacelab, read_deepfacelab  # noqa: E402
from export.networks.autoencoder import Amp, AmpShape, Archi, SaehdShape, saehd  # noqa: E402
from export.restricted_pickle import read_restricted_pickle  # noqa: E402
from realtime.errors import ModelError  # noqa: E402

Parts = dict[str, dict[str, Any]]


def weights() -> Parts:
    return smallest_parts("df-ud")


def folder(tmp_path: Path, parts: Parts | None = None, **options: Any) -> Path:
    return write_smallest(tmp_path / "model", "df-ud", parts, **options)


def refusal(path: Path) -> str:
    """The one line by which a model is refused."""
    with pytest.raises(ModelError) as caught:
        read_deepfacelab(path)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 600
    return line


def value_of(content: bytes) -> Any:
    return read_restricted_pickle(content, "file x")


# -- hostile files


class Calls:
    """An object whose pickle calls something."""

    def __init__(self, function: Callable[..., Any], *given: Any) -> None:
        self.function, self.given = function, given

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.given


class Stateful:
    """An object whose pickle sets attributes."""

    def __init__(self) -> None:
        self.anything = 1


def hostile(mark: Path) -> dict[str, Any]:
    return {
        "system": Calls(os.system, f"touch {mark}"),
        "eval": Calls(eval, f"open({str(mark)!r}, 'w')"),
        "exec": Calls(exec, f"open({str(mark)!r}, 'w')"),
        "open": Calls(open, str(mark), "w"),
        "getattr": Calls(getattr, "", "format"),
        "numpy's save": Calls(np.save, str(mark), [1]),
        "numpy's reader of pickles": Calls(np.load, str(mark), None, True),
        "object": Stateful(),
        "class": Stateful,
        "set": {1, 2},
        "complex": 1j,
        "array of objects": np.array([Calls(os.system, f"touch {mark}"), None], object),
        "array of texts": np.array(["a"]),
        "record": np.zeros(2, [("a", "f4")]),
        "raw bytes": b"abc",
        "huge number": 1 << 4000,
        "tensor": torch.zeros(2),
    }


@pytest.mark.parametrize("name", list(hostile(Path())))
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "it-ran"
    model = folder(tmp_path)
    for spoiled in ("tiny_SAEHD_encoder.npy", "tiny_SAEHD_data.dat"):  # the weights first: options are read before
        for protocol in range(6):
            content = pickle.dumps({"iter": 1, "options": hostile(mark)[name]}, protocol)
            (model / spoiled).write_bytes(content)
            assert spoiled in refusal(model)
            assert not mark.exists()


def test_a_hostile_pickle_is_called_what_it_is(tmp_path: Path) -> None:
    model = folder(tmp_path)
    (model / "tiny_SAEHD_inter.npy").write_bytes(pickle.dumps(Calls(getattr, "", "format"), 4))
    assert refusal(model) == (
        "DeepFaceLab file tiny_SAEHD_inter.npy asks to run 'builtins.getattr', which weights and options never do; "
        "nothing was run: get the model from a source you trust"
    )


def test_the_hostile_pickles_are_armed(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(hostile(mark)["open"], 4)).close()
    assert mark.exists()


# -- damaged files


def test_a_file_cut_short_says_so(tmp_path: Path) -> None:
    model = folder(tmp_path)
    for file in ("tiny_SAEHD_data.dat", "tiny_SAEHD_decoder_dst.npy"):
        whole = (model / file).read_bytes()
        (model / file).write_bytes(whole[:-1])
        assert f"{file} ends early, it is cut short" in refusal(model)
        (model / file).write_bytes(whole)


# -- models that do not fit together


def test_the_options_are_what_upstream_saved(shared: Path) -> None:
    for file in ("saehd/microdf_SAEHD", "saehd/microliae_SAEHD", "amp/microamp_AMP"):
        content = value_of((shared / f"reference/{file}_data.dat").read_bytes())
        names = json.loads((shared / f"reference/{file}_names.json").read_text())
        assert content["options"] == names["options"]
        assert content["iter"] == 1000


def test_what_a_model_says_of_itself(shared: Path) -> None:
    model = read_deepfacelab(shared / "reference/saehd/microliae_SAEHD_data.dat")
    assert (model.name, model.family, model.archi, model.face_type) == ("microliae", "SAEHD", "liae-ud", "whole_face")
    assert (model.resolution, model.iterations) == (64, 1000)
    amp = read_deepfacelab(shared / "reference/amp")
    assert (amp.name, amp.family, amp.archi, amp.face_type) == ("microamp", "AMP", None, "whole_face")
    assert not any(parameter.requires_grad for parameter in amp.network.parameters())


def test_half_precision_weights_are_read(tmp_path: Path) -> None:
    halves = {part: {n: w.astype(np.float16) for n, w in names.items()} for part, names in weights().items()}
    model = read_deepfacelab(folder(tmp_path, halves))
    assert {parameter.dtype for parameter in model.network.parameters()} == {torch.float32}


def test_the_discriminators_are_not_needed_nor_read(tmp_path: Path) -> None:
    model = folder(tmp_path)
    (model / "tiny_SAEHD_GAN.npy").write_bytes(b"no pickle at all")
    assert read_deepfacelab(model).name == "tiny"


def spoil(part: str, name: str, value: Any) -> Parts:
    """A model's parts with one weight replaced, or left out for None."""
    parts = weights()
    if value is None:
        del parts[part][name]
    else:
        parts[part][name] = value
    return parts


@pytest.mark.parametrize(
    ("parts", "options", "says"),
    [
        (spoil("inter", "dense1/bias:0", None), {}, "lacks inter.dense1.bias: it is"),
        (spoil("inter", "dense3/bias:0", np.zeros(4, np.float32)), {}, "has unknown inter.dense3.bias: it is"),
        (spoil("inter", "\x1b[2J" * 99, np.zeros(4, np.float32)), {}, "has unknown inter."),
        (spoil("inter", "dense1/bias:0", np.zeros(5, np.float32)), {}, "is 5, wanted is 4"),
        (spoil("inter", "dense1/weight:0", np.zeros((4, 64), np.float32)), {}, "is 64x4, wanted is 4x64"),
        (spoil("inter", "dense1/bias:0", np.zeros(4, np.int32)), {}, "no array of float32"),
        (spoil("inter", "dense1/bias:0", [0.0] * 4), {}, "no array of float32"),
        (spoil("inter", "dense1/bias:0", np.full(4, np.nan, np.float32)), {}, "not finite numbers"),
        (spoil("decoder_src", "upscale0/conv1/bias:0", np.full(64, -np.inf, np.float32)), {}, "not finite numbers"),
        (None, {"archi": "df-udt"}, "and 33 more: it is of another model or configuration"),
        (None, {"archi": "liae-ud"}, "inter_AB.npy is missing"),
        (None, {"archi": "dfhd"}, "archi 'dfhd' is not known"),
        (None, {"archi": 5}, "option 'archi' is missing"),
        (None, {"ae_dims": 8}, "is it of another configuration?"),
        (None, {"resolution": 1 << 40}, "option 'resolution' is no size"),
        (None, {"resolution": "128"}, "option 'resolution' is no size"),
        (None, {"e_dims": None}, "option 'e_dims' is missing"),
        (None, {"iterations": 0}, "was never trained"),
        (None, {"family": "AMP"}, "option 'inter_dims' is missing"),
        (None, {"family": "SAE"}, "holds a SAE model of an older DeepFaceLab"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, parts: Parts | None, options: dict[str, Any], says: str) -> None:
    assert says in refusal(folder(tmp_path, parts, **options))


def test_a_saehd_model_named_amp_is_refused(tmp_path: Path) -> None:
    assert "inter_src.npy is missing" in refusal(folder(tmp_path, family="AMP", inter_dims=4))


def test_quick96_is_a_small_saehd(tmp_path: Path) -> None:
    """Its options tell no size: upstream's are fixed."""
    sizes = {name: QUICK96[name] for name in ("resolution", "ae_dims", "e_dims", "d_dims", "d_mask_dims")}
    with torch.device("meta"):
        network = saehd(SaehdShape(Archi.parse("df-ud"), **sizes))
    parts = {part: {n: np.zeros(s, np.float32) for n, s in names} for part, names in names_of(network).items()}
    model = read_deepfacelab(folder(tmp_path, parts, family="Quick96", archi=None, resolution=None))
    assert (model.family, model.resolution, model.face_type) == ("Quick96", 96, "full")
    assert plan_deepfacelab(tmp_path / "model").training["kind"] == "Quick96 df-ud"


def test_xseg_is_named(tmp_path: Path) -> None:
    for name in ("XSeg_data.dat", "XSeg_256.npy", "XSeg_256_opt.npy"):
        (tmp_path / name).write_bytes(b"")
        assert "masks faces for training" in refusal(tmp_path / name)
    assert "masks faces for training" in refusal(tmp_path)
    model = folder(tmp_path)
    shutil.copy(tmp_path / "XSeg_data.dat", model)
    assert read_deepfacelab(model).family == "SAEHD", "it lies beside the model that it masks for"


def test_a_file_that_is_none_of_deepfacelabs_is_named(tmp_path: Path) -> None:
    model = folder(tmp_path)
    (model / "tiny_SAEHD_inter.npy").write_bytes(b"<html>Quota</html>")
    assert "tiny_SAEHD_inter.npy is a web page" in refusal(model)
    (tmp_path / "page.pth").write_bytes(b"<html>Quota</html>")
    assert "is no DeepFaceLab model but a web page" in refusal(tmp_path / "page.pth")


def test_an_amp_model_is_read(tmp_path: Path) -> None:
    with torch.device("meta"):
        parts = filled(names_of(Amp(AmpShape(inter_dims=6, **SMALLEST))))
    model = read_deepfacelab(folder(tmp_path, parts, family="AMP", inter_dims=6, archi=None))
    assert model.network.inter_dims == 6


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    model = folder(tmp_path)
    (model / "tiny_SAEHD_decoder_dst.npy").unlink()
    assert "tiny_SAEHD_decoder_dst.npy is missing" in refusal(model)


def test_a_part_that_is_no_dictionary_is_refused(tmp_path: Path) -> None:
    model = folder(tmp_path)
    for odd in ([1], "text", {"encoder": {}}):
        (model / "tiny_SAEHD_encoder.npy").write_bytes(pickle.dumps(odd, 4))
        assert "encoder" in refusal(model)
    (model / "tiny_SAEHD_data.dat").write_bytes(pickle.dumps({"iter": "many"}, 4))
    assert "lacks 'iter' or 'options'" in refusal(model)


def test_the_ways_to_name_a_model(tmp_path: Path) -> None:
    model = folder(tmp_path)
    assert read_deepfacelab(model / "tiny_SAEHD_data.dat").name == "tiny"
    shutil.copy(model / "tiny_SAEHD_data.dat", model / "other_SAEHD_data.dat")
    assert "holds 2 models: give one of other_SAEHD_data.dat, tiny_SAEHD_data.dat" in refusal(model)
    assert read_deepfacelab(model / "tiny_SAEHD_encoder.npy").name == "tiny", "any file tells which is meant"
    (model / "notes.txt").touch()
    assert "is no DeepFaceLab model" in refusal(model / "notes.txt")
    assert "is no DeepFaceLab model" in refusal(tmp_path / "nowhere")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_an_endless_file_is_not_waited_for(tmp_path: Path) -> None:
    model = folder(tmp_path)
    (model / "tiny_SAEHD_inter.npy").unlink()
    (model / "tiny_SAEHD_inter.npy").symlink_to("/dev/zero")
    assert "inter.npy is missing" in refusal(model)
