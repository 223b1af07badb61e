"""SAEHD and AMP draw what upstream draws, for every archi, from weight files to pictures."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deepfacelab_models import filled, keyfill, write_model

torch = pytest.importorskip("torch", reason="torch is not installed (pip install '.[export]')")

from export.families.deepfacelab import DeepFaceLabModel, read_deepfacelab  # noqa: E402
from export.networks.autoencoder import Amp, AmpShape, Archi, DfmLayout, SaehdShape, saehd  # noqa: E402
from realtime.errors import ModelError  # noqa: E402

LETTERS = ["".join(some) for n in range(5) for some in combinations("udtc", n)]
ARCHIS = [kind + ("-" + letters if letters else "") for kind in ("df", "liae") for letters in LETTERS]
OUTPUTS = ("out_celeb_face", "out_celeb_face_mask", "out_face_mask")
AS_IN_A_DFM = ("out_face_mask", "out_celeb_face", "out_celeb_face_mask")
TOLERANCE = 1e-4
DIMS = {"ae_dims": 16, "e_dims": 8, "d_dims": 8, "d_mask_dims": 4}


@pytest.fixture(autouse=True)
def _no_grad() -> Any:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def combos() -> Any:
    folder = Path(__file__).resolve().parents[3] / "shared" / "reference" / "saehd"
    if not folder.is_dir():
        pytest.skip("the recorded references (../shared) are not here")
    names = json.loads((folder / "saehd_combos_names.json").read_text())
    with np.load(folder / "saehd_combos_out.npz") as arrays:
        return names, dict(arrays)


def draw(network: Any, faces: np.ndarray, *further: Any) -> list[np.ndarray]:
    """NHWC to NHWC, in the order of `Drawn`."""
    drawn = network(torch.from_numpy(faces).permute(0, 3, 1, 2), *further)
    return [output.permute(0, 2, 3, 1).numpy() for output in drawn]


def recorded(name: str) -> str:
    """The reference's name of an archi string: it writes the letters in one order of its own."""
    kind, _, letters = name.partition("-")
    return kind + ("-" if letters else "") + "".join(c for c in "udtc" if c in letters)


def test_the_recipe_is_the_recorded_one() -> None:
    values = keyfill("encoder/down1/downs_0/conv1/weight:0", (5, 5, 3, 8)).ravel()[:3]
    np.testing.assert_allclose(values, [-0.277404577, -0.314351141, -0.104064547], rtol=1e-6)


@pytest.mark.parametrize("archi", ARCHIS)
def test_every_archi_draws_what_upstream_draws(combos: Any, tmp_path: Path, archi: str) -> None:
    names, arrays = combos
    assert set(map(recorded, names)) == set(ARCHIS)
    key = next(name for name in names if recorded(name) == archi)
    wavy_and_normed = {"u", "c"} <= set(archi.partition("-")[2])
    parts = filled(names[key], gain=0.7 if wavy_and_normed else 1.0)
    model = read_deepfacelab(write_model(tmp_path / "model", parts, archi=archi))
    for ours, theirs in zip(draw(model.network, arrays["in_face"]), OUTPUTS, strict=True):
        np.testing.assert_allclose(ours, arrays[f"{key}/{theirs}"], rtol=0, atol=TOLERANCE)


def read(shared: Path, file: str) -> DeepFaceLabModel:
    return read_deepfacelab(shared / "reference" / file)


@pytest.mark.parametrize("name", ["microdf", "microliae"])
def test_files_saved_by_upstream_draw_what_it_drew(shared: Path, name: str) -> None:
    model = read(shared, f"saehd/{name}_SAEHD_data.dat")
    wanted = np.load(shared / f"reference/saehd/{name}_SAEHD_out.npz")
    for ours, theirs in zip(draw(model.network, wanted["in_face"]), OUTPUTS, strict=True):
        np.testing.assert_allclose(ours, wanted[theirs], rtol=0, atol=TOLERANCE)
    code = model.network.encoder(torch.from_numpy(wanted["in_face"]).permute(0, 3, 1, 2))
    for inter in ("inter",) if name == "microdf" else ("inter_AB", "inter_B"):
        grid = getattr(model.network, inter)(code).permute(0, 2, 3, 1).numpy()
        np.testing.assert_allclose(grid, wanted[inter], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("morph", [0.0, 0.25, 0.75, 1.0])
def test_amp_draws_what_upstream_drew_at_every_morph(shared: Path, morph: float) -> None:
    model = read(shared, "amp")
    wanted = np.load(shared / "reference/amp/microamp_AMP_out_ort.npz")
    drawn = draw(model.network, wanted["in_face"], torch.tensor([morph]))
    for ours, theirs in zip(drawn, OUTPUTS, strict=True):
        np.testing.assert_allclose(ours, wanted[f"{theirs}_m{morph}"], rtol=0, atol=TOLERANCE)


def test_the_morph_cuts_where_upstream_cuts() -> None:
    """Upstream keeps int(inter_dims * morph) channels, reckoned in float32; 0.7 of 10 is where that matters."""
    for inter_dims in (7, 10, 30, 1024):
        network = Amp(AmpShape(32, inter_dims=inter_dims, **dict.fromkeys(DIMS, 1))).eval()
        network.inter_src = torch.nn.Sequential(Constant(1.0, inter_dims))
        network.inter_dst = torch.nn.Sequential(Constant(0.0, inter_dims))
        network.decoder = Echo()
        for morph in (0.0, 0.1, 0.29, 0.3, 0.5, 0.57, 0.7, 0.9, 0.999, 1.0):
            kept = network(torch.zeros(1, 3, 32, 32), torch.tensor([morph])).face.flatten()
            wanted = int(np.float32(inter_dims) * np.float32(morph))
            assert kept.tolist() == [1.0] * wanted + [0.0] * (inter_dims - wanted)


class Constant(torch.nn.Module):
    def __init__(self, value: float, channels: int) -> None:
        super().__init__()
        self.grid = torch.full((1, channels, 1, 1), value)

    def forward(self, code: Any) -> Any:
        return self.grid


class Echo(torch.nn.Module):
    def forward(self, z: Any) -> Any:
        return z, z

    def mask(self, z: Any) -> Any:
        return z


@pytest.mark.parametrize("archi", ["df", "df-ut", "liae-d", "liae-udtc"])
@pytest.mark.parametrize("resolution", [64, 96, 224, 640])
def test_any_resolution_and_dims_fit(archi: str, resolution: int) -> None:
    with torch.device("meta"):
        network = saehd(SaehdShape(Archi.parse(archi), resolution, ae_dims=80, e_dims=22, d_dims=34, d_mask_dims=10))
        drawn = network(torch.zeros(2, 3, resolution, resolution))
    assert [tuple(output.shape) for output in drawn] == [
        (2, channels, resolution, resolution) for channels in (3, 1, 1)
    ]


def test_without_d_and_t_a_multiple_of_16_will_do() -> None:
    with torch.device("meta"):
        network = saehd(SaehdShape(Archi.parse("liae-uc"), 80, **DIMS))
        assert network(torch.zeros(1, 3, 80, 80)).face.shape == (1, 3, 80, 80)


def test_archis_are_read_in_any_order_of_letters() -> None:
    assert Archi.parse("liae-ctdu") == Archi.parse("liae-udtc")
    assert Archi.parse("df") == Archi.parse("df-") == Archi("df")


@pytest.mark.parametrize("archi", ["", "DF", "df-x", "liaeu", "dfhd", "df-ud\n", "xseg", "df_ud", "df-u" + "\x1b" * 99])
def test_what_is_no_archi_is_refused(archi: str) -> None:
    with pytest.raises(ModelError, match=r"archi .* is not known") as caught:
        Archi.parse(archi)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("archi", "sizes"),
    [
        ("df", {"resolution": 72}),
        ("df-d", {"resolution": 80}),
        ("liae-t", {"resolution": 80}),
        ("df", {"resolution": 0}),
        ("df", {"resolution": 1 << 40}),
        ("df", {"ae_dims": 0}),
        ("df", {"e_dims": -8}),
        ("df", {"d_mask_dims": 1 << 30}),
    ],
)
def test_sizes_that_do_not_fit_are_refused(archi: str, sizes: dict[str, int]) -> None:
    with pytest.raises(ModelError, match=f"{next(iter(sizes))} .* does not fit"):
        SaehdShape(Archi.parse(archi), **({"resolution": 64} | DIMS | sizes))
    if archi == "df" and "resolution" not in sizes:
        with pytest.raises(ModelError, match="does not fit"):
            AmpShape(**({"resolution": 64, "inter_dims": 32} | DIMS | sizes))


@pytest.mark.parametrize("file", ["saehd/microliae_SAEHD_data.dat", "amp"])
def test_the_layout_of_a_dfm_has_its_outputs_in_order_and_static_shapes(shared: Path, file: str) -> None:
    model = read(shared, file)
    amp = model.family == "AMP"
    wanted = np.load(shared / "reference" / ("amp/microamp_AMP_out_ort.npz" if amp else f"{file[:-8]}out.npz"))
    feed = [torch.from_numpy(wanted["in_face"][:1])] + [torch.tensor([0.25])] * amp
    program = torch.export.export(DfmLayout(model.network), tuple(feed), strict=False)
    dynamic = {"aten.item.default", "aten.slice.Tensor", "aten._local_scalar_dense.default", "aten.nonzero.default"}
    assert not dynamic & {str(node.target) for node in program.graph.nodes}
    for ours, theirs in zip(program.module()(*feed), AS_IN_A_DFM, strict=True):
        key = f"{theirs}_m0.25" if amp else theirs
        np.testing.assert_allclose(ours.numpy(), wanted[key][:1], rtol=0, atol=TOLERANCE)
