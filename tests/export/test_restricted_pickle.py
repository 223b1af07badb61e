"""Pickles are read as data: what plain pickles hold comes back, what is anything else is refused."""

import pickle
import struct
from typing import Any

import numpy as np
import pytest

from export.restricted_pickle import read_restricted_pickle
from realtime.errors import ModelError


def value_of(content: bytes) -> Any:
    return read_restricted_pickle(content, "file x")


PLAIN: list[Any] = [
    {
        "iter": 123456789,
        "name": "päd",
        "none": None,
        "on": True,
        "off": False,
        "f": -0.125,
        "l": [1, -2, 2**40, -(2**63)],
    },
    {"tuples": [(), (1,), (1, "b"), (1, 2, 3), (1, 2, 3, 4)], "nested": {"a": {"b": [[], {}]}}, 7: "number"},
    {"long": "x" * 70_000, "byte": 255, "word": 65535, "inf": [float("inf"), float("-inf")]},
]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", PLAIN, ids=str)
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    assert value_of(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("dtype", ["?", "i1", "<i8", ">u4", "<f4", ">f4", "f2", "f8"])
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 3, 4), (5, 5, 3, 8)])
def test_arrays_come_back(protocol: int, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.array(np.random.default_rng(1).standard_normal(shape) * 9).astype(dtype)
    for order in (array, array.copy("F")):
        read = value_of(pickle.dumps({"w": order, "again": [order]}, protocol))
        for came in (read["w"], read["again"][0]):
            assert came.dtype == array.dtype.newbyteorder("=")
            assert came.shape == shape
            np.testing.assert_array_equal(came, array)
            assert not came.flags.writeable


def test_scalars_come_as_numbers() -> None:
    scalars = [np.int64(-7), np.float64(0.1), np.float32(0.5), np.bool_(True), np.uint8(200)]
    read = value_of(pickle.dumps(scalars, 4))
    assert read == [-7, 0.1, 0.5, True, 200]
    assert [type(number) for number in read] == [int, float, float, bool, int]


def test_both_spellings_of_numpy_are_known() -> None:
    new = pickle.dumps({"w": np.arange(3.0)}, 3)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != new
    np.testing.assert_array_equal(value_of(old)["w"], value_of(new)["w"])


def test_shared_and_circular_lists_are_no_trap() -> None:
    bomb: list[Any] = [0]
    for _ in range(200):
        bomb = [bomb, bomb]  # 2**200 leaves, written in little
    circle: list[Any] = []
    circle.append(circle)
    read = value_of(pickle.dumps({"bomb": bomb, "circle": circle}, 4))
    assert read["bomb"][0] is read["bomb"][1]
    assert read["circle"][0] is read["circle"]


NAME = b"\x8c\x05numpy\x8c\x07ndarray\x93"
BUILT_BY_HAND = {
    "memory by the gigabyte": b"\x80\x04]r\xff\xff\xff\x7f",
    "text of an exabyte": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60),
    "bytes of an exabyte": b"\x80\x04\x8e" + struct.pack("<Q", (1 << 64) - 1) + b"x.",
    "no end": b"\x80\x04]",
    "nothing": b"",
    "nothing but its end": b"\x80\x04.",
    "two values": b"\x80\x04NN.",
    "a mark left over": b"\x80\x04N(.",
    "no mark": b"\x80\x04Nt.",
    "taken from below a mark": b"\x80\x04N(\x85.",
    "a memory never written": b"\x80\x04h\x07.",
    "more after its end": b"\x80\x04N.N.",
    "a name alone": b"\x80\x04" + NAME + b".",
    "a name in a list": b"\x80\x04]" + NAME + b"a.",
    "a name in a tuple in a list": b"\x80\x04]" + NAME + b"\x85a.",
    "a name as a key": b"\x80\x04}" + NAME + b"Ns.",
    "attributes put on a name": b"\x80\x04" + NAME + b"}\x8c\x01aNsb.",
    "a name made new": b"\x80\x04" + NAME + b")\x81.",
    "a name called": b"\x80\x04" + NAME + b")R.",
    "a list as a key": b"\x80\x04}]Ns.",
    "a nest of tuples as a key": b"\x80\x04})" + b"".join(b"\x94h%c\x86" % n for n in range(60)) + b"Ns.",
    "attributes put on a maker": b"\x80\x04\x8c\x16numpy._core.multiarray\x8c\x06scalar\x93N}\x8c\x01aNs\x86b.",
    "a key without a value": b"\x80\x04}(Nu.",
    "appended to a number": b"\x80\x04K\x01Na.",
    "a persistent id": b"\x80\x04NQ.",
    "an extension": b"\x80\x04\x82\x01.",
    "a buffer from outside": b"\x80\x05\x97.",
    "protocol 9": b"\x80\x09N.",
    "odd text": b"\x80\x04\x8c\x02\xff\xfe.",
    "an unfinished name": b"\x80\x04cnumpy\n" + b"n" * 300,
    "a lying frame": b"\x80\x04\x95" + b"\xff" * 8 + b"N",
    "a numpy file": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}",
    "a zip": b"PK\x03\x04" + b"\0" * 40,
}


@pytest.mark.parametrize("name", BUILT_BY_HAND)
def test_what_no_pickler_writes_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="file x ") as caught:
        value_of(BUILT_BY_HAND[name])
    assert str(caught.value).isprintable()


def test_a_shape_without_its_content_takes_no_memory() -> None:
    good = pickle.dumps(np.zeros((200, 1), np.float32), 4)
    shape = b"K\xc8K\x01\x86"
    assert good.count(shape) == 1
    for wrong in (b"J\xff\xff\xff\x7fK\x01\x86", b"K\x00K\x01\x86", b"J\xff\xff\xff\xffK\x01\x86", b"\x88K\xc8\x86"):
        spoiled = good.replace(shape, wrong).replace(good[2:11], b"")  # without its frame, which would be too short
        with pytest.raises(ModelError, match="file x is damaged: it has an array"):
            value_of(spoiled)


def test_every_truncation_and_500_mutations_end_in_one_line_or_in_a_value() -> None:
    history = [[0.5, 0.25]] * 9
    whole = pickle.dumps({"iter": np.int64(5), "w": np.ones((2, 3), np.float32), "l": history, "t": (1, None, "é")}, 4)
    value_of(whole)
    for length in range(len(whole)):
        with pytest.raises(ModelError):
            value_of(whole[:length])
    random = np.random.default_rng(5)
    refused = []
    for turn in range(500):
        spoiled = bytearray(whole)
        for place in random.integers(0, len(whole), 1 + turn % 4):
            spoiled[place] ^= 1 << random.integers(0, 8) if turn % 2 else random.integers(1, 256)
        try:
            value_of(bytes(spoiled))
        except ModelError as why:
            refused.append(str(why))
    assert 250 < len(refused) < 500, "numbers may be any; names and structure may not"
    assert all(line.startswith("file x ") and line.isprintable() for line in refused)
