"""Pickles that want to run something, written instruction by instruction; none is ever given to `pickle`."""

import struct
from collections.abc import Mapping

STOP = b"."


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def table(entries: Mapping[str, bytes]) -> bytes:
    """A dict with text keys and values that are instructions already."""
    return b"}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u"


def pickled(body: bytes, protocol: int = 2) -> bytes:
    return b"\x80" + bytes([protocol]) + body + STOP


def payloads(canary: str) -> dict[str, bytes]:
    """What each should never do is to make the file or folder `canary`, or to import `canary_code`, which does."""
    there, touch = text(canary), text(f"touch {canary}")
    code = f"__import__('os').mkdir({canary!r})"
    inner = pickled(call(name("os", "mkdir"), there))
    bytes_of = b"B" + struct.pack("<I", len(inner)) + inner
    simple: dict[str, tuple[str, str, tuple[bytes, ...]]] = {
        "mkdir": ("os", "mkdir", (there,)),
        "posix mkdir": ("posix", "mkdir", (there,)),
        "system": ("os", "system", (touch,)),
        "popen": ("os", "popen", (touch,)),
        "spawn": ("os", "spawnlp", (b"K\x00", text("touch"), text("touch"), there)),
        "eval": ("builtins", "eval", (text(code),)),
        "exec": ("builtins", "exec", (text(code),)),
        "old eval": ("__builtin__", "eval", (text(code),)),
        "compile": ("builtins", "compile", (text(code), text("x"), text("exec"))),
        "open": ("builtins", "open", (there, text("w"))),
        "io open": ("io", "open", (there, text("w"))),
        "codecs open": ("codecs", "open", (there, text("w"))),
        "import": ("builtins", "__import__", (text("canary_code"),)),
        "importlib": ("importlib", "import_module", (text("canary_code"),)),
        "a module of theirs": ("canary_code", "run", ()),
        "run module": ("runpy", "_run_module_code", (text(code),)),
        "timeit": ("timeit", "timeit", (text(code),)),
        "call": ("subprocess", "call", (b"(" + text("touch") + there + b"t",)),
        "check_output": ("subprocess", "check_output", (b"(" + text("touch") + there + b"t",)),
        "a browser": ("webbrowser", "open", (text("file://" + canary),)),
        "a connection": ("socket", "create_connection", (b"(" + text("127.0.0.1") + b"K\x09t",)),
        "an address": ("urllib.request", "urlopen", (text("http://127.0.0.1:9/"),)),
        "a library": ("ctypes", "CDLL", (there,)),
        "shell tree": ("shutil", "copytree", (text("."), there)),
        "a memory map": ("numpy", "memmap", (there, text("u1"), text("w+"), b"K\x00", b"K\x09")),
        "numpy save": ("numpy", "save", (there, b"K\x01")),
        "numpy load": ("numpy", "load", (there,)),
        "numpy's test runner": ("numpy.testing._private.utils", "runstring", (text(code), b"}")),
        "torch load": ("torch", "load", (there,)),
        "torch save": ("torch", "save", (b"K\x01", there)),
        "torch hub": ("torch.hub", "load_state_dict_from_url", (text("http://127.0.0.1:9/x"),)),
        "torch library": ("torch.ops", "load_library", (there,)),
        "torch jit": ("torch.jit", "load", (there,)),
        "storage from bytes": ("torch.storage", "_load_from_bytes", (bytes_of,)),
        "a pickle in a pickle": ("pickle", "loads", (bytes_of,)),
        "marshal": ("marshal", "loads", (b"C\x01N",)),
        "logging config": ("logging.config", "fileConfig", (there,)),
        "pdb": ("pdb", "run", (text(code),)),
        "exit": ("os", "_exit", (b"K\x00",)),
        "raise": ("sys", "exit", (b"K\x00",)),
        "kill": ("os", "kill", (b"K\x00", b"K\x09")),
    }
    found = {title: call(name(module, attribute), *given) for title, (module, attribute, given) in simple.items()}
    mkdir, ordered = name("os", "mkdir"), name("collections", "OrderedDict")
    return found | {
        "inst": b"(" + there + b"ios\nmkdir\n",
        "obj": b"(" + mkdir + there + b"o",
        "newobj": mkdir + b"(" + there + b"t\x81",
        "newobj_ex": mkdir + b"(" + there + b"t}\x92",
        "stack global": text("os") + text("mkdir") + b"\x93(" + there + b"tR",
        "dotted name": text("os") + text("path.os.mkdir") + b"\x93(" + there + b"tR",
        "extension": b"\x82\x01",
        "getattr": call(call(name("builtins", "getattr"), name("builtins", "object"), text("__subclasses__"))),
        "methodcaller": call(name("operator", "methodcaller"), text("mkdir"), there),
        "partial": call(call(name("functools", "partial"), mkdir, there)),
        "map": call(name("builtins", "list"), call(name("builtins", "map"), mkdir, b"(" + there + b"t")),
        "state of a dict": call(ordered) + b"}" + text("__class__") + mkdir + b"sb",
        "reduce of a dict": call(ordered) + b"}" + text("__reduce_ex__") + mkdir + b"sb",
        "items of a call": call(ordered, call(mkdir, there)),
        "typed rebuild": call(name("torch._tensor", "_rebuild_from_type_v2"), mkdir, ordered, there + b"\x85", b"N"),
        "rebuilt parameter": call(name("torch._utils", "_rebuild_parameter"), mkdir, b"\x88", call(ordered)),
        "rebuilt tensor": call(name("torch._utils", "_rebuild_tensor_v2"), mkdir, b"K\x00", b")", b")", b"\x89", b"N"),
        "reconstructor": call(name("copyreg", "_reconstructor"), mkdir, name("builtins", "object"), b"N"),
        "object scalar": call(name("numpy.core.multiarray", "scalar"), call(name("numpy", "dtype"), text("O8")), mkdir),
        "persistent call": call(mkdir, there) + b"Q",
    }


def bombs() -> dict[str, bytes]:
    """Small files that become large, or deep, in whoever reads them without care."""
    doubling = b"]q\x00" + b"".join(b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(60))
    return {
        "a list doubled 60 times": doubling,
        "lists 30,000 deep": b"]" * 30_000 + b"a" * 29_999,
        "tuples 30,000 deep": b")" + b"\x85" * 30_000,
        "dicts 20,000 deep": b"}" + b"K\x00}" * 20_000 + b"s" * 20_000,
        "a long text": b"X" + struct.pack("<I", 0xFFFFFFFF) + b"x",
        "long bytes": b"\x8e" + struct.pack("<Q", 1 << 62) + b"x",
        "a long number": b"\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"1",
        "a negative number": b"\x8b" + struct.pack("<i", -5) + b"1",
        "a number in digits": b"L" + b"9" * 500_000 + b"L\n",
        "a far memory": b"]r\xff\xff\xff\x7f",
        "a mark too many": b"(" * 100_000,
        "popped from nothing": b"0" * 10,
        "a list in itself": b"]q\x00h\x00a",
        "an unhashable key": b"}]K\x01s",
    }
