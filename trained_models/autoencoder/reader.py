"""The tracker's networks as differentiable ones: what is read in a drawn face, as a term of the loss.

Pixels alone hardly tell lips that are nearly as far apart as they should be from those that are; what a tracker
reads does.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor

from realtime.families.face_swap.autoencoder import LOWER, OUTER_EYES, UPPER
from realtime.tracking.face_networks import BLENDSHAPE_POINTS, LANDMARK_SIZE
from trained_models.autoencoder.dataset import FAINT, JAW_OPEN, Batch
from trained_models.autoencoder.losses import SHARES

Attributes = Mapping[str, Any]


class OnnxInTorch:
    """A frozen float32 network; called with its inputs in order, it gives its outputs in order. Raises ValueError for a
    file with other operators."""

    def __init__(self, file: Path, device: torch.device) -> None:
        graph = onnx.load(file, load_external_data=False).graph
        self._constants: dict[str, Tensor] = {
            t.name: _widened(torch.from_numpy(numpy_helper.to_array(t).copy())) for t in graph.initializer
        }
        self._inputs = [port.name for port in graph.input]
        self._outputs = [port.name for port in graph.output]
        self._steps: list[tuple[Callable[..., Tensor], Attributes, list[str], str]] = []
        for node in graph.node:
            run = _OPERATORS.get(node.op_type)
            if run is None:
                raise ValueError(f"{file.name} holds an operator that is not run in PyTorch here: {node.op_type}")
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            names, made = list(node.input), node.output[0]
            if all(name in self._constants for name in names):
                self._constants[made] = run(attributes, *(self._constants[name] for name in names))
            else:
                self._steps.append((run, attributes, names, made))
        # Shapes, axes and paddings stay where reading them waits for no GPU.
        self._constants = {k: v.to(device) if v.is_floating_point() else v for k, v in self._constants.items()}

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        values = self._constants | dict(zip(self._inputs, inputs, strict=True))
        for run, attributes, names, made in self._steps:
            values[made] = run(attributes, *(values[name] for name in names))
        return [values[name] for name in self._outputs]


def _widened(constant: Tensor) -> Tensor:
    return constant.float() if constant.is_floating_point() else constant


def _padded(x: Tensor, begins: list[int], ends: list[int], value: float = 0.0) -> Tensor:
    """`x` padded along its last dimensions; PyTorch counts them from the last."""
    sides = [side for pair in zip(reversed(begins), reversed(ends), strict=True) for side in pair]
    return F.pad(x, sides, value=value) if any(sides) else x


def _pad(_: Attributes, x: Tensor, pads: Tensor) -> Tensor:
    sides = pads.tolist()
    return _padded(x, sides[: x.dim()], sides[x.dim() :])


def _convolve(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    pads = a.get("pads", [0, 0, 0, 0])
    return F.conv2d(_padded(x, pads[:2], pads[2:]), weight, bias, a.get("strides", 1), groups=a.get("group", 1))


def _max_pool(a: Attributes, x: Tensor) -> Tensor:
    pads = a.get("pads", [0, 0, 0, 0])
    return F.max_pool2d(_padded(x, pads[:2], pads[2:], -torch.inf), a["kernel_shape"], a["strides"])


def _slice(_: Attributes, x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None) -> Tensor:
    along = range(len(starts)) if axes is None else axes.tolist()
    for start, end, axis in zip(starts.tolist(), ends.tolist(), along, strict=True):
        first, last, _step = slice(start, end).indices(x.shape[axis])
        x = x.narrow(axis, first, last - first)
    return x


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda _, x, y: x + y,
    "Cast": lambda _, x: _widened(x),
    "Concat": lambda a, *parts: torch.cat(parts, a["axis"]),
    "Conv": _convolve,
    "Div": lambda _, x, y: x / y,
    "MatMul": lambda _, x, y: x @ y,
    "MaxPool": _max_pool,
    "Mul": lambda _, x, y: x * y,
    "Neg": lambda _, x: -x,
    "Pad": _pad,
    "Reciprocal": lambda _, x: x.reciprocal(),
    "ReduceMean": lambda a, x: x.mean(list(a["axes"]), bool(a["keepdims"])),
    "ReduceSum": lambda a, x, axes: x.sum(axes.tolist(), bool(a["keepdims"])),
    "Relu": lambda _, x: x.relu(),
    "Reshape": lambda _, x, shape: x.reshape(shape.tolist()),
    "Sigmoid": lambda _, x: x.sigmoid(),
    "Slice": _slice,
    "Sqrt": lambda _, x: x.sqrt(),
    "Sub": lambda _, x, y: x - y,
    "Transpose": lambda a, x: x.permute(a["perm"]),
}


FACE = Path(__file__).resolve().parents[1] / "face"

SPAN, DOWN = 1.05, 0.02
"""The square that is read: its side, and how far its middle is below the crop's, in crop sides.

About what the tracker takes of a face cut as `prepare` does; of the values tried, these read the lips of prepared
faces most nearly as the tracker had read them (r 0.998).
"""
CLEAR = np.setdiff1d(np.arange(52), FAINT)
"""The readings that are compared: those that training does not take from another sample."""
COUNTS = np.where(CLEAR == JAW_OPEN, 8.0, 1.0)
"""How much each of them counts: one jaw is half of what a talking face does."""
LEANING_SHARE = 0.4
LEANING, RESTING = 0.3, 0.05
"""How often jawOpen is told as a stranger would read, and how far off: in its logarithm, and where it is at rest.

No identity by itself shows each jaw with each distance of the lips; drivers do. Only where the drawn face is read as
well: else the network would take the jaw for noise.
"""


class Reader:
    """Reads crops (N, 3, S, S) BGR 0..1, each by itself, not following a video: `points` and `blendshapes`. `folder`:
    the face bundle. Its weights do not learn."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._landmarks, self._blendshapes = (
            OnnxInTorch(folder / file, device) for file in ("landmarks.onnx", "blendshapes.onnx")
        )

    def points(self, faces: Tensor) -> Tensor:
        """(N, 478, 3): landmarks in crop sides, x and y from the crop's middle."""
        lines = (torch.arange(LANDMARK_SIZE, device=faces.device) + 0.5) / LANDMARK_SIZE * 2 - 1
        across, down = torch.meshgrid(lines * SPAN, lines * SPAN + 2 * DOWN, indexing="xy")
        grid = torch.stack([across, down], -1).expand(len(faces), -1, -1, -1)
        seen = F.grid_sample(faces.flip(1), grid, padding_mode="border", align_corners=False)
        found = torch.cat([self._landmarks(one)[0] for one in seen.split(1)]).reshape(-1, 478, 3)
        middle = torch.tensor([0.5, 0.5, 0.0], device=faces.device)
        moved = torch.tensor([0.0, DOWN, 0.0], device=faces.device)
        return (found / LANDMARK_SIZE - middle) * SPAN + moved

    def blendshapes(self, points: Tensor) -> Tensor:
        """(N, 52) of (N, 478, 3) points."""
        seen = points[:, torch.from_numpy(BLENDSHAPE_POINTS).to(points.device), :2] * LANDMARK_SIZE
        return torch.cat([self._blendshapes(one)[0].reshape(1, 52) for one in seen.split(1)])

    def loss(self, faces: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """How far what is read in drawn `faces` is from what was told, and both its terms by name.

        The lips in outer-eye distances, and the blendshapes. Half of the batch is enough, one of each pair of twins;
        around the face there is the target.
        """
        mask = batch.mask[0::2]
        whole = faces[0::2] * mask + batch.target[0::2] * (1 - mask)
        # In float32 throughout: bfloat16 would round the points to whole pixels.
        points = self.points(whole)
        lips = (lips_apart(points) - batch.lips[0::2]).abs().mean()
        readings = readings_error(self.blendshapes(points), batch.blendshapes[0::2])
        terms = {"lips": float(lips.detach()), "readings": float(readings.detach())}
        return SHARES.lips * lips + SHARES.readings * readings, terms


def readings_error(read: Tensor, told: Tensor) -> Tensor:
    """The mean difference of (N, 52) readings, by `COUNTS`."""
    counts = torch.tensor(COUNTS / COUNTS.sum(), dtype=torch.float32, device=read.device)
    return ((read - told)[:, torch.from_numpy(CLEAR).to(read.device)].abs() * counts).sum(1).mean()


def lips_apart(points: Tensor) -> Tensor:
    """(N, 3): `inner_lips` of (N, 478, 3) points."""
    eyes = (points[:, OUTER_EYES[0]] - points[:, OUTER_EYES[1]]).norm(dim=-1, keepdim=True)
    return (points[:, list(UPPER)] - points[:, list(LOWER)]).norm(dim=-1) / eyes


def as_strangers(batch: Batch, rng: np.random.Generator) -> Batch:
    """Replace some samples' jawOpen with values as read from other identities; the same for both twins."""
    pairs = (len(batch.face) + 1) // 2
    leans = rng.uniform(size=pairs) < LEANING_SHARE
    factor = np.where(leans, np.exp(rng.normal(0, LEANING, pairs)), 1)
    more = np.where(leans, np.abs(rng.normal(0, RESTING, pairs)), 0)
    factor, more = (torch.from_numpy(np.repeat(x, 2)[: len(batch.face)]).to(batch.blendshapes) for x in (factor, more))
    told = batch.blendshapes.clone()
    told[:, JAW_OPEN] = (told[:, JAW_OPEN] * factor + more).clamp(max=1)
    return replace(batch, blendshapes=told)
