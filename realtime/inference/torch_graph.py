"""An ONNX graph made into a list of PyTorch calls, with shapes, constants and precisions settled beforehand.

Building runs the graph once on PyTorch's `meta` device, which knows shapes and dtypes but computes nothing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from realtime.errors import ModelError
from realtime.inference.check_inputs import blank_feed
from realtime.inference.onnx_graph import Graph, Node
from realtime.inference.session import TensorSpec
from realtime.inference.torch_operators import MULTIPLYING, OPERATORS, PLAIN, SENSITIVE
from realtime.inference.torch_packed import PackedConvolution, pack

FLOATING = (torch.float32, torch.float16, torch.bfloat16)

MAX_ELEMENTS = 1 << 28
"""Numbers in one array, 1 GiB of float32: far above any network of ours, far below what stops a machine."""

Argument = int | tuple[Any, ...]
"""A slot, or a value as it is."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call: `arguments` are slots (int), or values as they are, held in a one-element tuple.

    `casts` are the positions of slots to be cast first, and to what. `done` are the slots not needed afterwards.
    """

    operator: str
    call: Callable[..., Any]
    attributes: dict[str, Any]
    arguments: tuple[Argument, ...]
    casts: tuple[tuple[int, Any], ...]
    outputs: tuple[int, ...]
    done: tuple[int, ...]


class TorchGraph:
    """Calling it runs the network: tensors in the order of `inputs`, float32 tensors in the order of `outputs`.

    `device` is PyTorch's name of one. `low` is None for float32, or the dtype (`float16`, `bfloat16`) in which
    convolutions and matrix products are done; what is sensitive stays float32 (`torch_operators.SENSITIVE`).
    Dynamic sizes are taken as 1. `differentiable`: gradients go through to the inputs, and a CPU is slower. Raises
    ModelError for what cannot be run.
    """

    def __init__(
        self, graph: Graph, name: str, device: str, low: str | None = None, *, differentiable: bool = False
    ) -> None:
        self._packs = not differentiable and device == "cpu"
        self._name, self._device = name, torch.device(device)
        self._low = None if low is None else getattr(torch, low)
        self._opset = graph.opset
        self._slots: dict[str, int] = {}
        self._known: dict[str, Any] = {k: torch.from_numpy(np.array(v)) for k, v in graph.constants.items()}
        self._meta: dict[str, Any] = {}
        self._placed: dict[tuple[str, Any], Any] = {}
        self.inputs = {t: TensorSpec(tuple(side or 1 for side in p.shape), p.dtype) for t, p in graph.inputs.items()}
        for title, blank in blank_feed(self.inputs).items():
            self._new_slot(title, torch.from_numpy(blank).to("meta"))
        steps = [step for node in graph.nodes if (step := self._step(node)) is not None]
        missing = [title for title in graph.outputs if title not in self._slots and title not in self._known]
        if missing:
            raise ModelError(f"{name} promises {missing[0]!r} but no node makes it: export it again")
        self.outputs = {title: self._meta_of(title) for title in graph.outputs}
        self._results = [self._slots.get(title, self._to_device(title, None)) for title in graph.outputs]
        self._placed.clear()  # what the steps hold stays
        keep = {slot for slot in self._results if isinstance(slot, int)}
        self._steps = _with_ends(_activated(steps, keep), keep)
        self._known.clear()
        self._meta.clear()

    @property
    def nodes(self) -> int:
        """How many calls a run makes."""
        return len(self._steps)

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        values: list[Any] = [*inputs, *[None] * (len(self._slots) - len(inputs))]
        for step in self._steps:
            arguments = [values[a] if isinstance(a, int) else a[0] for a in step.arguments]
            for position, dtype in step.casts:
                arguments[position] = arguments[position].to(dtype)
            out = step.call(step.attributes, *arguments)
            if isinstance(out, tuple):
                for slot, value in zip(step.outputs, out, strict=False):
                    values[slot] = value
            else:
                values[step.outputs[0]] = out
            for slot in step.done:
                values[slot] = None
        results = [values[r] if isinstance(r, int) else r for r in self._results]
        return [r.float() if r.dtype in FLOATING else r for r in results]

    def _step(self, node: Node) -> Step | None:
        """The call for one node; None where it only makes constants."""
        try:
            return self._settled(node)
        except ModelError:
            raise
        except Exception as error:  # PyTorch raises many kinds
            said = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            raise ModelError(
                f"{self._name}: PyTorch does not run {node.operator[:40]} {node.name[:60]!r} here ({said}): "
                "use another --provider"
            ) from error

    def _settled(self, node: Node) -> Step | None:
        if node.operator == "Constant":
            self._known[node.outputs[0]] = _constant(node)
            return None
        if node.operator == "Shape":
            attributes: dict[str, Any] = dict(node.attributes)
            cut = list(self._meta_of(node.inputs[0]).shape)[attributes.get("start", 0) : attributes.get("end")]
            self._known[node.outputs[0]] = torch.tensor(cut, dtype=torch.int64)
            return None
        call = OPERATORS.get(node.operator)
        if call is None or (node.operator == "Softmax" and self._opset < 13):
            raise ValueError(f"it is not among those known, at operator set {self._opset}")
        if all(not title or title in self._known for title in node.inputs):
            self._fold(node, call)
            return None
        arguments, casts = self._arguments(node)
        shown = [self._shown(title, a) for title, a in zip(node.inputs, arguments, strict=True)]
        for position, dtype in casts:
            shown[position] = shown[position].to(dtype)
        out = call(node.attributes, *shown)
        _check_sizes(out)
        made = out if isinstance(out, tuple) else (out,)
        names = [title for title in node.outputs if title]
        if len(names) > len(made):
            raise ValueError(f"it should give {len(names)} values and gives {len(made)}")
        slots = tuple(self._new_slot(title, value) for title, value in zip(node.outputs, made, strict=False))
        if node.operator == "Conv" and self._packs:
            call, arguments = self._packed(node, call, arguments, shown)
        return Step(node.operator, call, node.attributes, arguments, casts, slots, ())

    def _packed(
        self, node: Node, call: Callable[..., Any], arguments: tuple[Argument, ...], shown: list[Any]
    ) -> tuple[Callable[..., Any], tuple[Argument, ...]]:
        """A convolution with its weights laid out beforehand, where they are constant and it can be."""
        weights = [argument[0] for argument in arguments[1:] if isinstance(argument, tuple)]
        if len(weights) != len(arguments) - 1:
            return call, arguments
        packed = pack(node.attributes, shown[0].shape, weights[0], weights[1] if len(weights) > 1 else None)
        return (packed, arguments[:1]) if packed else (call, arguments)

    def _fold(self, node: Node, call: Callable[..., Any]) -> None:
        plain = PLAIN.get(node.operator, ())
        given = [
            None if not title else self._plainly(title) if position in plain else self._known[title]
            for position, title in enumerate(node.inputs)
        ]
        with torch.device("meta"):  # how large it will be, before it is made
            _check_sizes(call(node.attributes, *(_unreal(value) for value in given)))
        out = call(node.attributes, *given)
        for title, value in zip(node.outputs, out if isinstance(out, tuple) else (out,), strict=False):
            self._known[title] = value

    def _arguments(self, node: Node) -> tuple[tuple[Argument, ...], tuple[tuple[int, Any], ...]]:
        """Slots and values of a node's inputs, and which slots are to be cast to what."""
        plain = PLAIN.get(node.operator, ())
        wanted = self._dtype_for(node, plain)
        arguments: list[Argument] = []
        casts = []
        for position, title in enumerate(node.inputs):
            if not title:
                arguments.append((None,))
            elif position in plain:
                arguments.append((self._plainly(title),))
            elif title in self._known:
                arguments.append((self._to_device(title, wanted),))
            else:
                arguments.append(self._slots[title])
                dtype = self._meta[title].dtype
                if wanted is not None and dtype in FLOATING and dtype != wanted:
                    casts.append((position, wanted))
        return tuple(arguments), tuple(casts)

    def _dtype_for(self, node: Node, plain: tuple[int, ...]) -> Any:
        """The float dtype a node works in; None where it takes no floats, or casts itself."""
        flowing = [
            self._meta[title].dtype
            for position, title in enumerate(node.inputs)
            if title in self._meta and position not in plain and self._meta[title].dtype in FLOATING
        ]
        if not flowing or node.operator == "Cast":
            return None
        if self._low is None or node.operator in SENSITIVE:
            # A file that is itself fp16 keeps to it only on a GPU, where that is faster.
            return torch.float32
        if node.operator in MULTIPLYING:
            return self._low
        # The others follow what comes: low only where everything that flows in is low.
        return self._low if all(dtype == self._low for dtype in flowing) else torch.float32

    def _plainly(self, title: str) -> Any:
        if title not in self._known:
            raise ValueError(f"its {title[:40]!r} is not known beforehand")
        return self._known[title].tolist()

    def _to_device(self, title: str, wanted: Any) -> Any:
        """A constant where it is used, in the dtype wanted; each is made once."""
        if title not in self._known:
            return None
        key = (title, wanted)
        if key not in self._placed:
            value = self._known[title]
            dtype = wanted if wanted is not None and value.dtype in FLOATING else value.dtype
            value = value.to(self._device, dtype)
            if value.dim() == 4:
                # Channels last is what convolutions are fastest in, on CPUs and on GPUs.
                value = value.contiguous(memory_format=torch.channels_last)
            self._placed[key] = value
        return self._placed[key]

    def _shown(self, title: str, argument: Argument) -> Any:
        """An argument as the meta device takes it."""
        value = self._meta[title] if isinstance(argument, int) else argument[0]
        return _unreal(value)

    def _meta_of(self, title: str) -> Any:
        return self._meta[title] if title in self._meta else self._known[title]

    def _new_slot(self, title: str, shown: Any) -> int:
        if title in self._slots or title in self._known:
            raise ModelError(f"{self._name}: two nodes make {title[:60]!r}: export it again")
        self._meta[title] = shown
        self._slots[title] = len(self._slots)
        return self._slots[title]


def _unreal(value: Any) -> Any:
    """A tensor as the meta device takes it; anything else as it is."""
    return value.to("meta") if isinstance(value, torch.Tensor) else value


def _check_sizes(made: Any) -> None:
    for value in made if isinstance(made, tuple) else (made,):
        if value.numel() > MAX_ELEMENTS:
            raise ValueError(f"it would make {value.numel()} numbers at once")


def _constant(node: Node) -> Any:
    for key in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if key in node.attributes:
            value = np.array(node.attributes[key])
            narrow = value.astype(np.float32) if key.startswith("value_float") else value
            return torch.from_numpy(narrow)
    raise ValueError("a constant without a value")


def _activated(steps: list[Step], keep: set[int]) -> list[Step]:
    """The steps with activations joined to the packed convolution before them, where nothing else uses it."""
    users = Counter(a for step in steps for a in step.arguments if isinstance(a, int)) + Counter(keep)
    makers = {step.outputs[0]: n for n, step in enumerate(steps) if isinstance(step.call, PackedConvolution)}
    joined: list[Step | None] = list(steps)
    for number, step in enumerate(steps):
        source = step.arguments[0] if step.arguments else None
        if not isinstance(source, int) or source not in makers or users[source] != 1 or step.casts:
            continue
        maker = steps[makers[source]]
        assert isinstance(maker.call, PackedConvolution)
        if maker.call.activate(step.operator, step.attributes):
            joined[makers[source]] = replace(maker, outputs=step.outputs)
            joined[number] = None
    return [step for step in joined if step is not None]


def _with_ends(steps: list[Step], keep: set[int]) -> list[Step]:
    """The steps, each told which slots it is the last to use."""
    last: dict[int, int] = {}
    for number, step in enumerate(steps):
        for slot in (*step.outputs, *(a for a in step.arguments if isinstance(a, int))):
            last[slot] = number
    ends: dict[int, list[int]] = {}
    for slot, number in last.items():
        if slot not in keep:
            ends.setdefault(number, []).append(slot)
    return [
        Step(s.operator, s.call, s.attributes, s.arguments, s.casts, s.outputs, tuple(ends.get(number, ())))
        for number, s in enumerate(steps)
    ]
