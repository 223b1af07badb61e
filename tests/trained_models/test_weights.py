"""The swap recipe's networks on disk, and bundles that are trained on."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training recipes need the extra `train`")

from made_up_pairs import SMALL  # noqa: E402

from trained_models.autoencoder.dataset import Batch  # noqa: E402
from trained_models.autoencoder.export import to_onnx, widest  # noqa: E402
from trained_models.autoencoder.network import SwapNetwork  # noqa: E402
from trained_models.autoencoder.weights import from_bundle, load_weights, save_weights, settle_norms  # noqa: E402


def test_saved_weights_draw_the_same_picture(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = SwapNetwork(SMALL).eval()
    save_weights(network, tmp_path / "w.npz", {"steps": 7})
    again = load_weights(tmp_path / "w.npz")
    feed = torch.rand(1, 3, 32, 32), torch.rand(1, 52), torch.zeros(1, 3), torch.rand(1, 3)
    with torch.no_grad():
        assert torch.allclose(network(*feed).face, again(*feed).face, atol=5e-3)
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert int(file["steps"]) == 7


def lived_in() -> SwapNetwork:
    """A small network whose batch norms have seen something."""
    torch.manual_seed(3)
    network = SwapNetwork(SMALL).train()
    for name, weight in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.05)  # equal tensors are stored once
    for _ in range(5):
        network(torch.rand(4, 3, 32, 32), torch.rand(4, 52), torch.zeros(4, 3), torch.rand(4, 3))
        network.driver_mask(torch.rand(4, 3, 32, 32))
    return network.eval()


def test_a_bundles_network_can_be_trained_on(tmp_path: Path) -> None:
    network = lived_in()
    face, told = torch.rand(4, 3, 32, 32), (torch.rand(4, 52), torch.zeros(4, 3), torch.rand(4, 3))
    blank = torch.zeros(4, 1)
    files = to_onnx(network, Batch(face, face, blank, blank, *told, blank, blank))
    for name, content in files.named().items():
        (tmp_path / name).write_bytes(content)
    again = from_bundle(tmp_path)
    with torch.no_grad():
        first, second = network(face, *told), again(face, *told)
        assert torch.allclose(first.face, second.face, atol=5e-3)
        assert torch.allclose(network.driver_mask(face), again.driver_mask(face), atol=2e-2)
        assert torch.allclose(network.decoder.fine(first.features), again.decoder.fine(second.features), atol=5e-3)
        settle_norms(again, face, told)
        settled = again.eval()(face, *told)
        assert torch.allclose(second.face, settled.face, atol=1e-3)
        trained = again.train()(face, *told)
    assert torch.allclose(second.face, trained.face, atol=2e-2)  # what training sees is what was drawn


def test_the_identitys_mask_grows_and_the_drivers_stays_where_it_is() -> None:
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 20, 20] = 1
    grown = widest(mask, 5)[0, 0]
    assert float(grown.sum()) == 25
    assert float(grown[18:23, 18:23].min()) == 1
