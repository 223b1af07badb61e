"""An ONNX file is read as protobuf's own readers read it, or refused where they could see something else."""

import pytest

onnx = pytest.importorskip("onnx", reason="the export needs the extra `export`")

from hostile_onnx import N, a_model  # noqa: E402
from onnx import ModelProto, TensorProto  # noqa: E402

from realtime.errors import ModelError  # noqa: E402
from realtime.inference.onnx_file import check_onnx  # noqa: E402


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def part(number: int, content: bytes, more_bits: int = 0) -> bytes:
    """A message or text as one field; `more_bits` are put above the 32 that a field's number has."""
    return varint(number << 3 | 2 | more_bits << 32) + varint(len(content)) + content


def a_graph_with(node: bytes = b"", tensor: bytes = b"") -> bytes:
    good = a_model([N("Relu", ["x"], ["y"])])
    return bytes(good.SerializeToString()) + part(7, part(1, node) if node else part(5, tensor))


@pytest.mark.parametrize(
    "raw",
    [b"\x08", b"\x0a\x05ab", b"\x0b", b"\x0f", b"\x00\x01", b"\x08" + b"\xff" * 11, varint(8 | 1 << 32) + b"\x01"],
)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(ModelError, match="not a whole ONNX file"):
        check_onnx(raw, "it")


def test_another_kind_of_file_is_named() -> None:
    with pytest.raises(ModelError, match="it is a web page, saved in place of the file, not an ONNX network: download"):
        check_onnx(b"<html>Quota</html>", "it")


def test_a_field_is_not_hidden_by_bits_that_others_drop() -> None:
    elsewhere = TensorProto(name="w", data_type=1, dims=[1])
    elsewhere.external_data.add(key="location", value="/etc/passwd")
    location = elsewhere.external_data[0].SerializeToString()
    for bits in (0, 1, 4):
        hidden = part(13, location, bits)
        with pytest.raises(ModelError, match="not a whole ONNX file" if bits else "external data"):
            check_onnx(a_graph_with(tensor=hidden), "it")


@pytest.mark.parametrize("value", [1, 1 + (1 << 32), 1 << 63 | 1, 2])
def test_a_place_is_not_hidden_by_bits_that_others_drop(value: int) -> None:
    with pytest.raises(ModelError, match="external data"):
        check_onnx(a_graph_with(tensor=varint(14 << 3) + varint(value)), "it")


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("number", "harmless", "bad", "says"),
    [(4, b"Relu", b"EPContext", "EPContext"), (4, b"Relu", b"Loop", "repeats"), (7, b"", b"evil.ops", "evil.ops")],
)
def test_of_two_names_both_must_do(number: int, harmless: bytes, bad: bytes, says: str, order: int) -> None:
    names = [part(number, name) for name in (harmless, bad)][::order]
    node = part(1, b"x") + part(2, b"z") + b"".join(names)
    ModelProto.FromString(a_graph_with(node))  # protobuf itself has nothing against it
    with pytest.raises(ModelError, match=says) as caught:
        check_onnx(a_graph_with(node), "it")
    assert "\n" not in str(caught.value)
