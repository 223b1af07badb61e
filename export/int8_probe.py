"""Any choice of int8 layers and ranges tried on one session, without making the network anew.

Building an int8 network takes seconds for each try, most of them for weights that do not change. Here every
tensor that could be rounded is, behind a switch, and the switches, scales and weights are inputs.
"""

from collections.abc import Callable, Collection, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.int8_graph import Ends, Placer, pair, put_after, step
from export.int8_ranges import Feed, open_graph
from export.int8_weights import CPU_LEVELS, LEVELS, Floats, along, rounded_weight
from realtime.inference.session import Array


class Probe:
    """Runs a network as if some of its layers were int8. `model` is the one that `placer` has.

    `tensors`: all that can be rounded by a range of their own.
    """

    def __init__(self, model: onnx.ModelProto, placer: Placer) -> None:
        self._placer = placer
        self._names = [port.name for port in model.graph.output]
        every = [placer.tensors(list(placer.layers)), *(placer.tensors([node]) for node in placer.layers)]
        # What is only moved has the steps it had before: rounding it again changes nothing.
        self.tensors = sorted({tensor for found in every for tensor, like in found.items() if tensor == like})
        heavy = {layer.weight for layer in placer.layers.values()}
        self._weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.name in heavy}
        self._rounded: dict[str, Floats] = {}
        self._session = open_graph(self._switched(model))

    def tried(self, chosen: Collection[str], ranges: Mapping[str, Ends]) -> Callable[[Feed], dict[str, Array]]:
        """The network with the layers `chosen` (by node) in int8, their tensors spanning `ranges`, as a function
        from a feed to all outputs."""
        given: dict[str, Array] = {}
        rounded = self._placer.tensors(chosen)
        for tensor in self.tensors:
            on = rounded.get(tensor) == tensor
            scale, zero = step(ranges[tensor] if on else (0.0, 1.0), self._placer.form)
            given |= {
                f"{tensor}/scale": np.array(scale, np.float32),
                f"{tensor}/zero": zero,
                f"{tensor}/on": np.array(on),
            }
        for node, layer in self._placer.layers.items():
            given[f"{node}/weight"] = self._near(node) if node in chosen else self._weights[layer.weight]
        names, session = self._names, self._session
        return lambda feed: dict(zip(names, session.run(names, {**feed, **given}), strict=True))

    def _near(self, node: str) -> Floats:
        """A layer's weights, rounded."""
        if node not in self._rounded:
            layer = self._placer.layers[node]
            weight = self._weights[layer.weight]
            levels = CPU_LEVELS if self._placer.form == "cpu" else LEVELS
            steps, scale = rounded_weight(weight, layer.axis, levels)
            self._rounded[node] = steps * along(scale, layer.axis, weight.ndim)
        return self._rounded[node]

    def _switched(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """The network with its switches. A tensor is rounded for all who read it, in the form for TensorRT for
        all its layers: where one of them is not chosen, that errs on the safe side."""
        probe = onnx.ModelProto()
        probe.CopyFrom(model)
        graph = probe.graph
        del graph.value_info[:]
        layers, on_cpu = self._placer.layers, self._placer.form == "cpu"
        after: dict[str, list[onnx.NodeProto]] = {}
        for tensor in self.tensors:
            pick = helper.make_node("Where", [f"{tensor}/on", f"{tensor}/rounded", tensor], [f"{tensor}/seen"])
            after[tensor] = [*pair(tensor), pick]
        put_after(graph, after, lambda node: on_cpu or node.name in layers)
        for tensor in self.tensors:
            for part, kind in (("scale", onnx.TensorProto.FLOAT), ("on", onnx.TensorProto.BOOL)):
                graph.input.append(helper.make_tensor_value_info(f"{tensor}/{part}", kind, []))
            zero = onnx.TensorProto.UINT8 if on_cpu else onnx.TensorProto.INT8
            graph.input.append(helper.make_tensor_value_info(f"{tensor}/zero", zero, []))
        for node in graph.node:
            if node.name in layers:
                node.input[1] = f"{node.name}/weight"
                shape = self._weights[layers[node.name].weight].shape
                graph.input.append(helper.make_tensor_value_info(node.input[1], onnx.TensorProto.FLOAT, shape))
        read = {name for node in graph.node for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        return probe
