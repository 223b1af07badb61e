"""The rules of the house that a machine can check."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = sorted(
    p for room in ("realtime", "export", "benchmarks", "trained_models", "tests") for p in (ROOT / room).rglob("*.py")
)
PRODUCT = [p for p in CODE if p.is_relative_to(ROOT / "realtime")]
LEAVES = {"errors", "frame", "clock", "threads", "metrics", "last_minute", "face", "settings"}
FORBIDDEN_WORDS = ("utils", "helper", "helpers", "manager", "base", "info", "misc", "common")


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=name)
def test_a_file_is_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_the_product_imports_neither_the_makers_nor_their_libraries(path: Path) -> None:
    tops = {module.split(".")[0] for module in imports(path)}
    makers = {"export", "trained_models", "torch", "onnx", "onnxscript", "anny", "moderngl"}
    if path.name == "cli.py":
        tops -= {"benchmarks", "export", "trained_models"}  # `bench`, `export`, `learn`: the one door to them
    if path.parent.name == "sessions" and path.stem.startswith("torch_"):
        tops.discard("torch")  # the session that runs on it, loaded only where it is asked for
    assert not tops & (makers | {"benchmarks"})


@pytest.mark.parametrize("path", [p for p in PRODUCT if p.name != "threads.py"], ids=name)
def test_threads_live_in_one_file(path: Path) -> None:
    assert not imports(path) & {"threading", "multiprocessing", "concurrent.futures", "_thread", "queue"}


@pytest.mark.parametrize("path", [p for p in PRODUCT if p.stem in LEAVES], ids=name)
def test_the_leaves_import_no_other_room(path: Path) -> None:
    ours = {module.split(".")[1] for module in imports(path) if module.startswith("realtime.")}
    assert ours <= LEAVES


@pytest.mark.parametrize("path", CODE, ids=name)
def test_names_say_what_a_file_holds(path: Path) -> None:
    assert path.stem not in FORBIDDEN_WORDS


def test_no_file_is_named_after_what_it_could_shadow() -> None:
    import sys

    taken = set(sys.stdlib_module_names) | {"onnxruntime", "onnx", "torch", "cv2", "av", "numpy", "click", "aiohttp"}
    # A package module `realtime.threads` shadows nothing; a top-level or test module would.
    top_level = [p for p in CODE if p.parent in (ROOT, ROOT / "tests")]
    assert not [name(p) for p in top_level if p.stem in taken]
    assert not [name(p) for p in PRODUCT if p.stem in taken - {"keys"}]


def test_the_package_list_is_complete() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"])
    found = {
        ".".join(p.parent.relative_to(ROOT).parts)
        for room in ("realtime", "export", "benchmarks", "trained_models")
        for p in (ROOT / room).rglob("__init__.py")
    }
    assert found == listed


def test_every_file_of_a_card_is_installed() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = build["package-data"]["trained_models"]
    for card in (ROOT / "trained_models").glob("*/model.toml"):
        for file in tomllib.loads(card.read_text(encoding="utf-8"))["files"]:
            packed = Path(card.parent.name, file)
            assert any(packed.match(pattern) for pattern in patterns), packed


def test_what_is_committed_of_models_is_small() -> None:
    assert sum(p.stat().st_size for p in (ROOT / "trained_models").rglob("*") if p.is_file()) < 80e6


@pytest.mark.parametrize("path", CODE, ids=name)
def test_no_pickle_is_ever_read(path: Path) -> None:
    if path.name == "test_layout.py":
        return
    text = path.read_text(encoding="utf-8")
    assert "allow_pickle=True" not in text
    assert not imports(path) & {"pickle", "cPickle", "dill", "joblib"} or path.is_relative_to(ROOT / "tests")
