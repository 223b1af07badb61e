"""Trained networks on disk: the recipe's own files, and bundles, whose half-precision weights can be trained on.

A bundle holds everything but the batch norms, which are folded into the convolutions before them: read back, each is
the one that only adds what is left of it. So no checkpoint needs to be kept beside a bundle. Before training goes on,
`settle_norms` gives them back the statistics they live on.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from realtime.errors import ModelError
from realtime.frame import Floats
from trained_models.autoencoder.network import Shape, SwapNetwork
from trained_models.training.files import fill, save_halves

NORM_EPS = 1e-5  # what torch's batch norm adds to a variance


def save_weights(network: SwapNetwork, path: Path, facts: dict[str, float]) -> None:
    """The weights in half precision, with the network's sizes and some numbers of the training."""
    save_halves(path, network, {f"shape.{k}": v for k, v in network.shape.as_dict().items()} | facts)


def load_weights(path: Path) -> SwapNetwork:
    """The network of a `save_weights` file, in float32, ready to draw."""
    with np.load(path, allow_pickle=False) as file:
        sizes = {k.removeprefix("shape."): file[k].tolist() for k in file.files if k.startswith("shape.")}
        shape = Shape(**{k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()})
        return fill(SwapNetwork(shape), file)


def read_network(path: Path) -> SwapNetwork:
    """The network of a `save_weights` file, or of a bundle's folder. Raises ModelError."""
    return load_weights(path) if path.is_file() else from_bundle(path)


def from_bundle(folder: Path) -> SwapNetwork:
    """The network of a bundle that `export.to_onnx` wrote, in float32, ready to draw. Raises ModelError."""
    known: dict[str, Floats] = {}
    try:
        for file in ("swap.onnx", "fine.onnx"):
            for tensor in onnx.load(folder / file, load_external_data=False).graph.initializer:
                known[tensor.name] = numpy_helper.to_array(tensor).astype(np.float32)
    except Exception as error:  # onnx's own kinds are many; whatever it is, the file is no use
        raise ModelError(f"{folder.name} has no network that can be trained on: {error}") from error
    network = SwapNetwork(_shape(known))
    state = network.state_dict()
    for name in state:
        state[name] = torch.from_numpy(_stored(name, known, tuple(state[name].shape)))
    network.load_state_dict(state)
    return network.to(memory_format=torch.channels_last).eval()


def _shape(known: Mapping[str, Floats]) -> Shape:
    """The sizes of a network, read off its weights. Raises ModelError."""
    try:
        widths = {name: tensor.shape for name, tensor in known.items()}
        encoder = tuple(widths[f"network.encoder.steps.{k}.conv.weight"][0] for k in range(5))
        code, cells = widths["network.encoder.squeeze.weight"]
        decoder = tuple(widths[f"network.decoder.blocks.{k}.conv.weight"][0] // 4 for k in (0, 1, 2, 4))
        return Shape(
            size=32 * math.isqrt(cells // encoder[-1]),
            code=code,
            condition=widths["network.decoder.condition.second.weight"][0],
            encoder=encoder,
            bottom=widths["network.decoder.blocks.0.conv.weight"][1],
            decoder=decoder,
            driver_mask=tuple(widths[f"network.driver_mask.down.{k}.0.conv.weight"][0] for k in range(5)),
            fine=widths["fine.widen.weight"][0],
        )
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(f"the network is none of this recipe's ({error}): take a bundle that it wrote") from error


def _stored(name: str, known: Mapping[str, Floats], shape: tuple[int, ...]) -> Floats:
    """A tensor of the network by its name there. Raises ModelError."""
    fine = name.startswith("decoder.fine.")
    theirs = name.removeprefix("decoder.") if fine else f"network.{name}"
    module, _, kind = theirs.rpartition(".")
    if module.endswith(".norm") and f"{module.removesuffix('norm')}conv.weight" in known:
        plain = {"weight": 1.0, "running_mean": 0.0, "running_var": 1.0 - NORM_EPS, "num_batches_tracked": 0.0}
        if kind in plain:
            return np.full(shape, plain[kind], np.float32)
        theirs = f"{module.removesuffix('norm')}conv.weight_bias"
    if theirs not in known or known[theirs].shape != shape:
        raise ModelError(f"the bundle's network lacks {theirs} of shape {shape}: take a bundle that this recipe wrote")
    return known[theirs]


@torch.no_grad()
def settle_norms(network: SwapNetwork, face: Tensor, told: Sequence[Tensor], within: nn.Module | None = None) -> None:
    """Give every batch norm the statistics of what passes through it, without changing what the network draws.

    `within`: the part of the network whose norms these are, by default all of it.

    A network read from a bundle needs this before it is trained on: in training a batch norm divides by the spread it
    sees. The samples, `face` (N, 3, S, S) and what the network is `told` of them, should be of many people.
    """
    network.eval()
    for norm in (m for m in (within or network).modules() if isinstance(m, nn.BatchNorm2d)):
        # One after the other: each sees what the ones before it, settled or not, let through all the same.
        seen: list[Tensor] = []
        hook = norm.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        network(face, *told)
        hook.remove()
        if not seen:  # the driver's mask is not trained with the rest
            continue
        variance, mean = torch.var_mean(seen[0].float(), (0, 2, 3), correction=0)
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        norm.bias.add_((mean - norm.running_mean) * gain)
        norm.weight.copy_(gain * torch.sqrt(variance + norm.eps))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
