"""One network of a TensorFlow Lite file → an ONNX model that computes the same.

One to one, in the order of the file, with three differences. Activations of picture networks are NCHW.
Weights stay the float16 numbers that the file holds, with a Cast that every runtime folds when it loads.
PReLU is written in convolutions, as ONNX Runtime's own costs more than all the rest.
"""

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from trained_models.recipes.tflite import Network, Operator, read_tflite

Array = npt.NDArray[np.generic]
SAME, RELU = 0, 1
OPSET = 17

ELEMENTWISE = {"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div"}
SINGLE = {"RELU": "Relu", "LOGISTIC": "Sigmoid", "NEG": "Neg", "SQRT": "Sqrt"}


class Writer:
    """Collects the ONNX nodes of one network. `image` nets keep 4-D activations as NCHW."""

    def __init__(self, net: Network, image: bool) -> None:
        self.net, self.image = net, image
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Array] = {}
        self.known: dict[int, Array] = {i: t.constant for i, t in enumerate(net.tensors) if t.constant is not None}

    def node(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Appends a node and gives back its output's name."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}_{output}", **attributes))
        return output

    def weight(self, values: Array, name: str) -> str:
        """A constant as a float32 value: stored in float16 where that loses nothing."""
        half = values.astype(np.float16)
        if values.dtype.kind == "f" and values.size > 8 and np.array_equal(half.astype(np.float32), values):
            if name not in self.weights:
                self.weights[name] = half
                self.node("Cast", [name], name + "_f32", to=TensorProto.FLOAT)
            return name + "_f32"
        self.weights[name] = values.astype(np.float32) if values.dtype.kind == "f" else values.astype(np.int64)
        return name

    def name(self, number: int) -> str:
        """The ONNX name of a tensor, writing it as a weight where it is a constant."""
        if number in self.known:
            return self.weight(self.known[number], f"w{number}")
        return f"t{number}"

    def shape(self, number: int) -> tuple[int, ...]:
        return self.net.tensors[number].shape

    def write(self, op: Operator) -> None:
        """One tflite operator as ONNX nodes."""
        out = f"t{op.outputs[0]}"
        if op.name == "DEQUANTIZE":
            self.known[op.outputs[0]] = self.known[op.inputs[0]].astype(np.float32)
        elif op.name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self.convolution(op, out)
        elif op.name == "PRELU":
            self.prelu(op, out)
        elif op.name in ELEMENTWISE:
            self.node(ELEMENTWISE[op.name], [self.name(i) for i in op.inputs], out)
        elif op.name in SINGLE:
            self.node(SINGLE[op.name], [self.name(op.inputs[0])], out)
        elif op.name == "RSQRT":
            self.node("Reciprocal", [self.node("Sqrt", [self.name(op.inputs[0])], out + "_root")], out)
        elif op.name == "SQUARED_DIFFERENCE":
            difference = self.node("Sub", [self.name(i) for i in op.inputs], out + "_difference")
            self.node("Mul", [difference, difference], out)
        elif op.name == "MAX_POOL_2D":
            self.max_pool(op, out)
        else:
            self.reshape_like(op, out)

    def reshape_like(self, op: Operator, out: str) -> None:
        """Operators that only move, pad or reduce."""
        x = self.name(op.inputs[0])
        constant = self.known[op.inputs[1]] if len(op.inputs) > 1 and op.inputs[1] in self.known else None
        if op.name == "PAD":
            assert constant is not None
            order = [0, 3, 1, 2] if self.image else list(range(len(constant)))
            pads = np.concatenate([constant[order, 0], constant[order, 1]])
            self.node("Pad", [x, self.weight(pads, out + "_pads")], out)
        elif op.name == "RESHAPE":
            if self.image and len(self.shape(op.inputs[0])) == 4:
                x = self.node("Transpose", [x], out + "_nhwc", perm=[0, 2, 3, 1])
            target = np.array(self.shape(op.outputs[0]), np.int64)
            self.node("Reshape", [x, self.weight(target, out + "_shape")], out)
        elif op.name == "CONCATENATION":
            self.node("Concat", [self.name(i) for i in op.inputs], out, axis=op.option(0))
        elif op.name == "TRANSPOSE":
            assert constant is not None
            self.node("Transpose", [x], out, perm=[int(i) for i in constant.ravel()])
        elif op.name in ("MEAN", "SUM"):
            assert constant is not None
            axes = [int(a) for a in np.atleast_1d(constant)]
            if op.name == "MEAN":
                self.node("ReduceMean", [x], out, axes=axes, keepdims=op.option(0, "b"))
            else:
                axis = self.weight(np.array(axes), out + "_axes")
                self.node("ReduceSum", [x, axis], out, keepdims=op.option(0, "b"))
        elif op.name == "STRIDED_SLICE":
            self.slice(op, x, out)
        else:
            raise ValueError(f"{op.name} is not known to this recipe")

    def slice(self, op: Operator, x: str, out: str) -> None:
        """The contiguous slices of the blendshape network: the shapes say how much is kept from where."""
        begin, end, _ = (self.known[i].astype(np.int64) for i in op.inputs[1:4])
        source = np.array(self.shape(op.inputs[0]), np.int64)
        bits_begin, bits_end, shrink = op.option(0), op.option(1), op.option(4)
        begin = np.where([bits_begin >> a & 1 for a in range(len(source))], 0, begin)
        end = np.where([bits_end >> a & 1 for a in range(len(source))], source, end)
        if np.array_equal(begin, np.zeros_like(begin)) and np.array_equal(end, source):
            kept = x
        else:
            names = [self.weight(v, f"{out}_{n}") for n, v in (("begin", begin), ("end", end))]
            kept = self.node("Slice", [x, *names], out + "_slice" if shrink else out)
        if shrink or kept == x:
            target = np.array(self.shape(op.outputs[0]), np.int64)
            self.node("Reshape", [kept, self.weight(target, out + "_shape")], out)

    def convolution(self, op: Operator, out: str) -> None:
        """A convolution with its bias and activation; outside picture nets, 1x1 ones are products."""
        deep = op.name == "DEPTHWISE_CONV_2D"
        kernel, bias = self.known[op.inputs[1]], self.weight(self.known[op.inputs[2]], f"w{op.inputs[2]}")
        activation = op.option(4 if deep else 3, "b")
        made = out + "_linear" if activation == RELU else out
        x = f"t{op.inputs[0]}"
        if not self.image:
            matrix = self.weight(kernel.reshape(kernel.shape[0], -1).T, f"w{op.inputs[1]}")
            self.node("Add", [self.node("MatMul", [x, matrix], out + "_product"), bias], made)
        else:
            stride_w, stride_h = op.option(1), op.option(2)
            pads = self.pads(op, kernel.shape[1:3], (stride_h, stride_w))
            group = kernel.shape[3] if deep else 1
            layout = (3, 0, 1, 2) if deep else (0, 3, 1, 2)
            weight = self.weight(kernel.transpose(layout), f"w{op.inputs[1]}")
            self.node(
                "Conv", [x, weight, bias], made,
                strides=[stride_h, stride_w], pads=pads, group=group, kernel_shape=list(kernel.shape[1:3]),
            )  # fmt: skip
        if activation == RELU:
            self.node("Relu", [made], out)
        elif activation:
            raise ValueError(f"fused activation {activation} is not known to this recipe")

    def pads(self, op: Operator, kernel: tuple[int, ...], strides: tuple[int, int]) -> list[int]:
        """TensorFlow's padding: where the total is odd, the extra row or column is at the end."""
        if op.option(0, "b") != SAME:
            return [0, 0, 0, 0]
        sides = []
        for size, k, s in zip(self.shape(op.inputs[0])[1:3], kernel, strides, strict=True):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            sides.append((total // 2, total - total // 2))
        return [sides[0][0], sides[1][0], sides[0][1], sides[1][1]]

    def max_pool(self, op: Operator, out: str) -> None:
        kernel = (op.option(4), op.option(3))
        strides = (op.option(2), op.option(1))
        pads = self.pads(op, kernel, strides)
        x = self.name(op.inputs[0])
        self.node("MaxPool", [x], out, kernel_shape=list(kernel), strides=list(strides), pads=pads)

    def prelu(self, op: Operator, out: str) -> None:
        """PReLU as `a x + (1 - a) relu(x)`, both terms 1 x 1 depthwise convolutions.

        ONNX Runtime's own PRelu leaves the blocked layout of the convolutions around it: this is x1.1 to x1.95 as fast
        (1 x 1 convolution and PRelu, thrice; 32 channels at 64 px gain most, 128 at 16 px least).
        """
        source, name = self.name(op.inputs[0]), f"w{op.inputs[1]}"
        slope = self.known[op.inputs[1]].reshape(-1, 1, 1, 1).astype(np.float32)
        rest = self.weight((1.0 - slope).astype(np.float32), f"{name}_rest")
        kept = self.weight(slope, name)
        ways = {"group": len(slope), "kernel_shape": [1, 1]}
        below = self.node("Conv", [source, kept], f"{out}_through", **ways)
        above = self.node("Conv", [self.node("Relu", [source], f"{out}_relu"), rest], f"{out}_above", **ways)
        self.node("Add", [above, below], out)


def to_onnx(tflite: bytes, names: dict[str, str], outputs: dict[str, list[int]]) -> onnx.ModelProto:
    """The ONNX model of one of the bundle's networks. Raises ValueError on what it does not know."""
    net = read_tflite(tflite)
    numbers = {names[t.name]: i for i, t in enumerate(net.tensors) if t.name in names}
    shape = list(net.tensors[net.inputs[0]].shape)
    image = len(shape) == 4
    writer = Writer(net, image)
    needed = _needed(net, [numbers[o] for o in outputs])
    for op in net.operators:
        if op.outputs[0] in needed:
            writer.write(op)
    for name, wanted in outputs.items():
        writer.node("Reshape", [f"t{numbers[name]}", writer.weight(np.array(wanted), name + "_shape")], name)
    source = names[net.tensors[net.inputs[0]].name]
    for made in writer.nodes:
        made.input[:] = [source if i == f"t{net.inputs[0]}" else i for i in made.input]
    shape = [shape[0], shape[3], shape[1], shape[2]] if image else shape
    graph = helper.make_graph(
        writer.nodes, "face",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in writer.weights.items()],
    )  # fmt: skip
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name="masquerade")
    onnx.checker.check_model(model, full_check=True)
    return model


def _needed(net: Network, outputs: list[int]) -> set[int]:
    needed = set(outputs)
    for op in reversed(net.operators):
        if op.outputs[0] in needed:
            needed.update(op.inputs)
    return needed
