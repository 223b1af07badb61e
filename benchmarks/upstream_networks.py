"""The three families at full size, as upstream runs them and as we do, on the same seeded weights.

Speed does not depend on the weights, so none are needed; but they are made so that activations stay near 1 and
outputs fill their range, as trained ones do, since otherwise nothing could be said about differences.

Upstream: PyTorch, eager, float32, one picture at a time. FOMM's loop encodes the avatar again for every frame;
what it also does and nobody looks at (the warped full-size picture, looking up in eleven copies) is left out here,
to its advantage. A SAEHD model is run by DeepFaceLive: ONNX Runtime with options left as they are, on a graph as
DeepFaceLab writes it: pictures channels last, a bias as an addition of its own, depth-to-space spelled out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from export.families.first_order_motion import FRAME, motion_networks
from export.networks.autoencoder import DFM_INPUT, DFM_OUTPUTS, Archi, DfmLayout, SaehdShape, saehd
from export.networks.first_order_motion import build
from export.networks.motion_config import PUBLISHED
from export.networks.wav2lip import WAV2LIP_96, LipShape, Wav2Lip
from export.parity import Feed, Kind
from export.plan import NetworkSpec
from export.samples import mel_windows, pictures

SEED = 3


@dataclass(frozen=True, slots=True, eq=False)
class Upstream:
    """One family's contest.

    `parts` are the networks that run for every frame, in order; a later one's inputs are `fixed` or come from the
    feed and the earlier ones (`wiring`: its input's name to an output's). `eager` is upstream's way in torch, with
    the feed's values in the order of `parts[0].inputs`; None where it is `dfm` on ONNX Runtime.
    """

    family: str
    what: str
    parts: tuple[NetworkSpec, ...]
    outputs: dict[str, Kind]
    feeds: list[Feed]
    fixed: Feed
    wiring: dict[str, str]
    eager: Callable[[Feed], dict[str, Any]] | None
    dfm: NetworkSpec | None = None


def first_order_motion() -> Upstream:
    """vox-256: 256 px, ten key points."""
    model = build(PUBLISHED["vox-256"], align_corners=True)
    _seed(model.detector)
    _seed(model.generator)
    with torch.no_grad():
        # Each Jacobian near the identity, as training starts them: it must have an inverse.
        model.detector.jacobian.weight.mul_(0.1)
        model.detector.jacobian.bias.copy_(torch.tensor([1.0, 0, 0, 1] * model.config.key_points))
    faces = [torch.from_numpy(p) for p in pictures(256, 6)[:4]]
    _settle(model.detector, (torch.cat(faces),))
    with torch.no_grad():
        points = model.detector(torch.cat(faces))
        turned = tuple(value.roll(1, 0) for value in points)
    _settle(model.generator, (torch.cat(faces), *points, *turned))
    parts = motion_networks(model, 256)
    avatar = faces[0]
    with torch.no_grad():
        value, jacobian = model.detector(avatar)
        encoded = parts[0].network(avatar)
    fixed = {name: tensor.numpy() for name, tensor in zip(FRAME[:4], encoded, strict=True)}

    def eager(feed: Feed) -> dict[str, Any]:
        driving = model.detector(torch.from_numpy(feed["driving"]))
        return {"prediction": model.generator(avatar, value, jacobian, *driving).numpy()}

    return Upstream(
        family="motion",
        what="First Order Motion Model, vox-256, one driven frame",
        parts=parts[1:],
        outputs={"prediction": "picture"},
        feeds=[{"driving": face.numpy()} for face in faces[1:]],
        fixed=fixed,
        wiring={"driving_keypoints": "keypoints", "driving_jacobians": "jacobians"},
        eager=eager,
    )


def wav2lip(shape: LipShape = WAV2LIP_96) -> Upstream:
    """The published 96 px network, or one of another shape."""
    network = Wav2Lip(shape).eval()
    _seed(network)
    sounds, faces = mel_windows(6)[:4], []
    for face in pictures(shape.size, 6)[:4]:
        upper = face.copy()
        upper[:, :, shape.size // 2 :] = 0
        faces.append(np.concatenate([upper, face], 1))
    feeds: list[Feed] = [{"mel": mel, "faces": face} for mel, face in zip(sounds, faces, strict=True)]
    _settle(network, (torch.from_numpy(np.concatenate(sounds)), torch.from_numpy(np.concatenate(faces))))

    def eager(feed: Feed) -> dict[str, Any]:
        return {"mouth": network(torch.from_numpy(feed["mel"]), torch.from_numpy(feed["faces"])).numpy()}

    kinds: dict[str, Kind] = {"mouth": "picture"}
    part = NetworkSpec(
        "lip_sync.onnx", network, ("mel", "faces"), kinds, lambda n: feeds[:n], frozenset({"mel", "faces"})
    )
    return Upstream("lip-sync", f"Wav2Lip, {shape.size} px, one frame", (part,), kinds, feeds, {}, {}, eager)


def deepfacelab() -> Upstream:
    """SAEHD df-ud 224 with the usual sizes: ae 256, e 64, d 64, masks 22."""
    network = saehd(SaehdShape(Archi.parse("df-ud"), 224, 256, 64, 64, 22)).eval()
    _seed(network)
    feeds: list[Feed] = [{"face": face} for face in pictures(224, 6)[:4]]
    kinds: dict[str, Kind] = {"celeb_face": "picture", "celeb_mask": "picture", "driver_mask": "picture"}
    part = NetworkSpec("swap.onnx", network, ("face",), kinds, lambda n: feeds[:n], frozenset({"face"}))
    turned: list[Feed] = [{DFM_INPUT: np.ascontiguousarray(f["face"].transpose(0, 2, 3, 1))} for f in feeds]
    shown: dict[str, Kind] = dict.fromkeys(DFM_OUTPUTS, "picture")
    dfm = NetworkSpec("", DfmLayout(network), (DFM_INPUT,), shown, lambda n: turned[:n], frozenset({DFM_INPUT}))
    return Upstream("swap", "DeepFaceLab SAEHD df-ud, 224 px, one frame", (part,), kinds, feeds, {}, {}, None, dfm)


FAMILIES: dict[str, Callable[[], Upstream]] = {
    "motion": first_order_motion,
    "lip-sync": wav2lip,
    "swap": deepfacelab,
}


def spelled_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as DeepFaceLab writes it: biases and depth-to-space as separate operators. Same numbers."""
    nodes = []
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    shapes = {v.name: [side.dim_value for side in v.type.tensor_type.shape.dim] for v in inferred}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for number, node in enumerate(model.graph.node):
        if node.op_type == "Conv" and len(node.input) == 3:
            bias, out = node.input.pop(), node.output[0]
            node.output[0] = f"{out}/plain"
            spread = numpy_helper.from_array(
                numpy_helper.to_array(stored[bias]).reshape(1, -1, 1, 1), f"{bias}/{number}"
            )
            model.graph.initializer.append(spread)
            nodes += [node, helper.make_node("Add", [f"{out}/plain", spread.name], [out])]
        elif node.op_type == "DepthToSpace":
            nodes += _depth_to_space(model, node, number, shapes[node.input[0]])
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _depth_to_space(
    model: onnx.ModelProto, node: onnx.NodeProto, number: int, shape: list[int]
) -> list[onnx.NodeProto]:
    count, channels, height, width = shape
    depth_last = any(a.name == "mode" and a.s == b"CRD" for a in node.attribute)
    cells = [channels // 4, 2, 2] if depth_last else [2, 2, channels // 4]
    order = [0, 1, 4, 2, 5, 3] if depth_last else [0, 3, 4, 1, 5, 2]
    wide, whole = f"d2s/{number}/cells", f"d2s/{number}/whole"
    sizes = {
        wide: [count, *cells, height, width],
        whole: [count, channels // 4, height * 2, width * 2],
    }
    for name, size in sizes.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(size, np.int64), name))
    a, b = f"{node.output[0]}/cells", f"{node.output[0]}/turned"
    return [
        helper.make_node("Reshape", [node.input[0], wide], [a]),
        helper.make_node("Transpose", [a], [b], perm=order),
        helper.make_node("Reshape", [b, whole], [node.output[0]]),
    ]


def _seed(network: Any) -> None:
    """He's initialisation, seeded: activations keep their size through any number of layers."""
    generator = torch.Generator().manual_seed(SEED)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, a=0.1, generator=generator)
            nn.init.zeros_(module.bias)


def _settle(network: Any, batch: tuple[Any, ...]) -> None:
    """Batch norms get the statistics of `batch`; then evaluation mode."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(*batch)
    network.eval()
