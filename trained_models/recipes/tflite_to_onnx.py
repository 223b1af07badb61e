"""Converts one network of a TensorFlow Lite file to an ONNX model that computes the same.

One to one, in the order of the file, with three differences. Activations of picture networks are NCHW.
Weights stay the float16 numbers that the file holds, with a Cast that every runtime folds when it loads.
PReLU is written in convolutions, as ONNX Runtime's own costs more than all the rest.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper
from tflite.utils import opcode2name

Array = npt.NDArray[np.generic]
SAME = tflite.Padding.SAME
NO_ACTIVATION, RELU, RELU6 = 0, tflite.ActivationFunctionType.RELU, tflite.ActivationFunctionType.RELU6
OPSET = 17
DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}
DIRECT = {"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div"} | {
    **{"RELU": "Relu", "LOGISTIC": "Sigmoid", "NEG": "Neg", "SQRT": "Sqrt"}
}
"""Operators that ONNX has under another name."""


@dataclass(frozen=True)
class Tensor:
    """One value of the graph: `constant` holds the weights, None where it is computed."""

    name: str
    shape: tuple[int, ...]
    constant: Array | None


@dataclass(frozen=True)
class Operator:
    """One step: tensors by number (-1: an optional input left out), and its options as the tflite package has them."""

    name: str
    inputs: list[int]
    outputs: list[int]
    options: Any


@dataclass(frozen=True)
class Network:
    """The first subgraph of a tflite file, operators in the order they run."""

    tensors: list[Tensor]
    operators: list[Operator]
    input: int


def read_tflite(data: bytes) -> Network:
    """The network in a tflite file. Raises ValueError where it is none."""
    if not tflite.Model.ModelBufferHasIdentifier(data, 0):
        raise ValueError("not a TensorFlow Lite file (no TFL3 mark)")
    model = tflite.Model.GetRootAs(data)
    graph = model.Subgraphs(0)
    kinds = {number: name for name, number in vars(tflite.BuiltinOptions).items()}
    operators = []
    for op in map(graph.Operators, range(graph.OperatorsLength())):
        code, table = model.OperatorCodes(op.OpcodeIndex()), op.BuiltinOptions()
        options = None
        if table is not None:
            options = getattr(tflite, kinds[op.BuiltinOptionsType()])()
            options.Init(table.Bytes, table.Pos)
        name = opcode2name(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
        operators.append(Operator(name, op.InputsAsNumpy().tolist(), op.OutputsAsNumpy().tolist(), options))
    tensors = [_tensor(model, graph.Tensors(k)) for k in range(graph.TensorsLength())]
    return Network(tensors, operators, graph.Inputs(0))


def _tensor(model: Any, tensor: Any) -> Tensor:
    shape = tuple(int(side) for side in np.atleast_1d(tensor.ShapeAsNumpy())) if tensor.ShapeLength() else ()
    buffer = model.Buffers(tensor.Buffer())
    constant = None
    if buffer.DataLength():
        values = buffer.DataAsNumpy().view(DTYPES[tensor.Type()])
        sparsity = tensor.Sparsity()
        constant = values.reshape(shape) if sparsity is None else _dense(sparsity, shape, values)
    return Tensor(tensor.Name().decode(), shape, constant)


def _dense(sparsity: Any, shape: tuple[int, ...], stored: Array) -> Array:
    """A sparse tensor laid out in full: dimensions are stored in the traversal order, those of the blocks last."""
    order = sparsity.TraversalOrderAsNumpy().tolist()
    blocks = sparsity.BlockMapAsNumpy().tolist() if sparsity.BlockMapLength() else []
    levels = [sparsity.DimMetadata(level) for level in range(sparsity.DimMetadataLength())]
    places, rows = np.zeros((1, len(order)), np.int64), np.zeros(1, np.int64)  # one row a stored number so far
    for level, meta in enumerate(levels):
        if meta.Format() == tflite.DimensionType.DENSE:
            size = meta.DenseSize()
            inside = np.tile(np.arange(size), len(rows))
            parents, rows = np.repeat(np.arange(len(rows)), size), np.repeat(rows * size, size) + inside
        else:
            starts = _indices(meta.ArraySegmentsType(), meta.ArraySegments())
            counts = (starts[1:] - starts[:-1])[rows]
            parents = np.repeat(np.arange(len(rows)), counts)
            rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + starts[rows][parents]
            inside = _indices(meta.ArrayIndicesType(), meta.ArrayIndices())[rows]
        places = places[parents]
        places[:, order[level]] = inside
    rank = len(shape)
    where = places[:, :rank]
    for number, dimension in enumerate(blocks):
        side = levels[order.index(rank + number)].DenseSize()
        where[:, dimension] = where[:, dimension] * side + places[:, rank + number]
    full = np.zeros(shape, stored.dtype)
    full[tuple(where.T)] = stored[rows]
    return full


def _indices(kind: int, table: Any) -> Array:
    """A vector of a sparse dimension's numbers."""
    kinds = tflite.SparseIndexVector
    names = {kinds.Int32Vector: "Int32Vector", kinds.Uint16Vector: "Uint16Vector", kinds.Uint8Vector: "Uint8Vector"}
    vector = getattr(tflite, names[kind])()
    vector.Init(table.Bytes, table.Pos)
    return np.asarray(vector.ValuesAsNumpy(), np.int64)


class Writer:
    """Collects the ONNX nodes of one network. `image` nets keep 4-D activations as NCHW."""

    def __init__(self, net: Network, image: bool) -> None:
        self.net, self.image = net, image
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Array] = {}
        self.known: dict[int, Array] = {i: t.constant for i, t in enumerate(net.tensors) if t.constant is not None}

    def node(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
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
        """One tflite operator as ONNX nodes. Raises ValueError for an operator that is not known here."""
        out = f"t{op.outputs[0]}"
        if op.name in ("DEQUANTIZE", "DENSIFY"):
            values = self.known[op.inputs[0]]
            self.known[op.outputs[0]] = values.astype(np.float32) if op.name == "DEQUANTIZE" else values
        elif op.name in DIRECT:
            fused = op.options.FusedActivationFunction() if op.name in ("ADD", "MUL") else NO_ACTIVATION
            self.activated(DIRECT[op.name], [self.name(i) for i in op.inputs], out, fused)
        else:
            way = getattr(self, f"_{op.name.lower()}", None)
            if way is None:
                raise ValueError(f"operator {op.name} is not known to this recipe")
            way(op, out)

    def activated(self, kind: str, inputs: list[str], output: str, activation: int, **attributes: object) -> None:
        """A node, and the activation that is fused with it in tflite. Raises ValueError for one not known here."""
        if activation == NO_ACTIVATION:
            self.node(kind, inputs, output, **attributes)
            return
        made = self.node(kind, inputs, output + "_linear", **attributes)
        if activation == RELU:
            self.node("Relu", [made], output)
        elif activation == RELU6:
            bounds = [self.weight(np.array(bound, np.float32), name) for bound, name in ((0, "zero"), (6, "six"))]
            self.node("Clip", [made, *bounds], output)
        else:
            raise ValueError(f"fused activation {activation} is not known to this recipe")

    def constant(self, op: Operator) -> Array:
        return self.known[op.inputs[1]]

    def _rsqrt(self, op: Operator, out: str) -> None:
        self.node("Reciprocal", [self.node("Sqrt", [self.name(op.inputs[0])], out + "_root")], out)

    def _squared_difference(self, op: Operator, out: str) -> None:
        difference = self.node("Sub", [self.name(i) for i in op.inputs], out + "_difference")
        self.node("Mul", [difference, difference], out)

    def _pad(self, op: Operator, out: str) -> None:
        sides = self.constant(op)
        order = [0, 3, 1, 2] if self.image else list(range(len(sides)))
        pads = np.concatenate([sides[order, 0], sides[order, 1]])
        self.node("Pad", [self.name(op.inputs[0]), self.weight(pads, out + "_pads")], out)

    def _reshape(self, op: Operator, out: str) -> None:
        x = self.name(op.inputs[0])
        if self.image and len(self.shape(op.inputs[0])) == 4:
            x = self.node("Transpose", [x], out + "_nhwc", perm=[0, 2, 3, 1])
        target = np.array(self.shape(op.outputs[0]), np.int64)
        self.node("Reshape", [x, self.weight(target, out + "_shape")], out)

    def _concatenation(self, op: Operator, out: str) -> None:
        self.node("Concat", [self.name(i) for i in op.inputs], out, axis=op.options.Axis())

    def _transpose(self, op: Operator, out: str) -> None:
        self.node("Transpose", [self.name(op.inputs[0])], out, perm=[int(i) for i in self.constant(op).ravel()])

    def _mean(self, op: Operator, out: str) -> None:
        axes = [int(a) for a in np.atleast_1d(self.constant(op))]
        if self.image and len(self.shape(op.inputs[0])) == 4:
            axes = [(0, 2, 3, 1)[axis] for axis in axes]
        self.node("ReduceMean", [self.name(op.inputs[0])], out, axes=axes, keepdims=int(op.options.KeepDims()))

    def _sum(self, op: Operator, out: str) -> None:
        x, axes = self.name(op.inputs[0]), np.atleast_1d(self.constant(op)).astype(np.int64)
        self.node("ReduceSum", [x, self.weight(axes, out + "_axes")], out, keepdims=int(op.options.KeepDims()))

    def _strided_slice(self, op: Operator, out: str) -> None:
        """The contiguous slices of the blendshape network: the shapes say how much is kept from where."""
        x = self.name(op.inputs[0])
        begin, end, _ = (self.known[i].astype(np.int64) for i in op.inputs[1:4])
        source, options = np.array(self.shape(op.inputs[0]), np.int64), op.options
        begin = np.where([options.BeginMask() >> a & 1 for a in range(len(source))], 0, begin)
        end = np.where([options.EndMask() >> a & 1 for a in range(len(source))], source, end)
        shrink = options.ShrinkAxisMask()
        if np.array_equal(begin, np.zeros_like(begin)) and np.array_equal(end, source):
            kept = x
        else:
            names = [self.weight(v, f"{out}_{n}") for n, v in (("begin", begin), ("end", end))]
            kept = self.node("Slice", [x, *names], out + "_slice" if shrink else out)
        if shrink or kept == x:
            target = np.array(self.shape(op.outputs[0]), np.int64)
            self.node("Reshape", [kept, self.weight(target, out + "_shape")], out)

    def _conv_2d(self, op: Operator, out: str) -> None:
        """A convolution with its bias and activation; outside picture nets, 1x1 ones are products."""
        deep = op.name == "DEPTHWISE_CONV_2D"
        kernel, bias = self.known[op.inputs[1]], self.weight(self.known[op.inputs[2]], f"w{op.inputs[2]}")
        activation = op.options.FusedActivationFunction()
        x = self.name(op.inputs[0])
        if not self.image:
            matrix = self.weight(kernel.reshape(kernel.shape[0], -1).T, f"w{op.inputs[1]}")
            self.activated("Add", [self.node("MatMul", [x, matrix], out + "_product"), bias], out, activation)
            return
        strides = [op.options.StrideH(), op.options.StrideW()]
        spread = [op.options.DilationHFactor(), op.options.DilationWFactor()]
        height, width = kernel.shape[1:3]
        reach = ((height - 1) * spread[0] + 1, (width - 1) * spread[1] + 1)
        layout = (3, 0, 1, 2) if deep else (0, 3, 1, 2)
        weight = self.weight(kernel.transpose(layout), f"w{op.inputs[1]}")
        ways = {"group": kernel.shape[3] if deep else 1, "kernel_shape": [height, width]}
        if spread != [1, 1]:
            ways["dilations"] = spread
        pads = self.pads(op, reach, (strides[0], strides[1]))
        self.activated("Conv", [x, weight, bias], out, activation, strides=strides, pads=pads, **ways)

    _depthwise_conv_2d = _conv_2d

    def pads(self, op: Operator, kernel: tuple[int, ...], strides: tuple[int, int]) -> list[int]:
        """TensorFlow's padding: where the total is odd, the extra row or column is at the end."""
        if op.options.Padding() != SAME:
            return [0, 0, 0, 0]
        sides = []
        for size, k, s in zip(self.shape(op.inputs[0])[1:3], kernel, strides, strict=True):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            sides.append((total // 2, total - total // 2))
        return [sides[0][0], sides[1][0], sides[0][1], sides[1][1]]

    def _resize_bilinear(self, op: Operator, out: str) -> None:
        (height, width), (new_height, new_width) = self.shape(op.inputs[0])[1:3], self.shape(op.outputs[0])[1:3]
        scales = self.weight(np.array([1, 1, new_height / height, new_width / width], np.float32), out + "_scales")
        half = "half_pixel" if op.options.HalfPixelCenters() else "asymmetric"
        way = "align_corners" if op.options.AlignCorners() else half
        x = self.name(op.inputs[0])
        self.node("Resize", [x, "", scales], out, mode="linear", coordinate_transformation_mode=way)

    def _depth_to_space(self, op: Operator, out: str) -> None:
        self.node("DepthToSpace", [self.name(op.inputs[0])], out, blocksize=op.options.BlockSize(), mode="DCR")

    def _fully_connected(self, op: Operator, out: str) -> None:
        x = self.name(op.inputs[0])
        if len(self.shape(op.inputs[0])) == 4:
            x = self.node("Flatten", [self.node("Transpose", [x], out + "_nhwc", perm=[0, 2, 3, 1])], out + "_flat")
        matrix = self.weight(np.ascontiguousarray(self.constant(op).T), f"w{op.inputs[1]}")
        product = self.node("MatMul", [x, matrix], out + "_product")
        self.activated("Add", [product, self.name(op.inputs[2])], out, op.options.FusedActivationFunction())

    def _max_pool_2d(self, op: Operator, out: str) -> None:
        kernel = (op.options.FilterHeight(), op.options.FilterWidth())
        strides = (op.options.StrideH(), op.options.StrideW())
        pads = self.pads(op, kernel, strides)
        x = self.name(op.inputs[0])
        self.node("MaxPool", [x], out, kernel_shape=list(kernel), strides=list(strides), pads=pads)

    def _prelu(self, op: Operator, out: str) -> None:
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
    shape = list(net.tensors[net.input].shape)
    image = len(shape) == 4
    writer = Writer(net, image)
    needed = _needed(net, [numbers[o] for o in outputs])
    for op in net.operators:
        if op.outputs[0] in needed:
            writer.write(op)
    for name, wanted in outputs.items():
        writer.node("Reshape", [f"t{numbers[name]}", writer.weight(np.array(wanted), name + "_shape")], name)
    source = names[net.tensors[net.input].name]
    for made in writer.nodes:
        made.input[:] = [source if i == f"t{net.input}" else i for i in made.input]
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
