"""The rules of the house that a machine can check: which room imports which, threads, packaging."""

import ast
import functools
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAKERS = {"export", "benchmarks", "trained_models"}
"""They may import realtime; realtime never imports them: they reach the command line by entry points."""

ROOMS = ("cli", "web", "pipeline", "output families", "audio", "models", "capture tracking", "imaging", "inference", "")
"""The rooms of realtime/ from the top floor to the ground (""); a room imports only itself and floors below."""

HEAVY = {"torch", "onnx", "onnxscript", "anny", "moderngl"}
THREADING = {"threading", "multiprocessing", "concurrent.futures", "_thread", "queue"}
SOFT_LINES = 500

FILES = [path for top in ("realtime", "tests", *sorted(MAKERS)) for path in sorted((ROOT / top).rglob("*.py"))]
PRODUCT = [path for path in FILES if path.is_relative_to(ROOT / "realtime")]


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path) for path in FILES}


@functools.cache
def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (whole & MODULES) or {node.module}
    return found


def room(name: str) -> str:
    """`realtime.web.server` is in the room `web`; the flat files are the ground."""
    parts = name.split(".")
    return parts[1] if (ROOT / "realtime" / "/".join(parts[1:2])).is_dir() and len(parts) > 1 else ""


FLOOR = {name: floor for floor, names in enumerate(ROOMS) for name in (names.split() or [""])}


def test_rooms_import_downwards_only() -> None:
    assert {room(module(path)) for path in PRODUCT} == set(FLOOR)
    upward = {
        f"{module(path)} imports {name}"
        for path in PRODUCT
        for name in imports(path)
        if name.partition(".")[0] == "realtime"
        and room(name) != room(module(path))
        and FLOOR[room(name)] <= FLOOR[room(module(path))]
    }
    assert not upward


def test_realtime_imports_neither_its_plugins_nor_heavy_libraries() -> None:
    wrong = {
        (module(path), name)
        for path in PRODUCT
        for name in imports(path)
        if name.partition(".")[0] in MAKERS | HEAVY and path.name != "app.py"
    }
    assert not wrong


def test_what_is_installed_imports_no_recipe() -> None:
    """Recipes are used in a checkout and left out of the wheel."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert build["packages"]["find"]["exclude"] == ["trained_models.recipes*"]
    recipes = "trained_models.recipes"
    installed = [p for p in FILES if not p.is_relative_to(ROOT / "tests") and not module(p).startswith(recipes)]
    assert not [(module(p), name) for p in installed for name in imports(p) if name.startswith(recipes)]


def test_threads_live_in_one_file() -> None:
    assert not [module(p) for p in PRODUCT if p.name != "threads.py" and imports(p) & THREADING]


def test_no_pickle_is_ever_read() -> None:
    product = [p for p in FILES if not p.is_relative_to(ROOT / "tests")]
    reads = [module(p) for p in product if imports(p) & {"pickle", "cPickle", "dill", "joblib"}]
    assert reads == ["export.restricted_pickle"], "the one reader, which calls nothing that a file names"
    assert not [module(p) for p in product if "allow_pickle=True" in p.read_text(encoding="utf-8")]


def test_no_file_is_named_after_what_it_could_shadow() -> None:
    taken = set(sys.stdlib_module_names) | {"onnxruntime", "onnx", "torch", "cv2", "av", "numpy", "click", "aiohttp"}
    assert not [path for path in FILES if path.parent == ROOT / "tests" / "support" and path.stem in taken]
    assert not [path for path in PRODUCT if path.stem in taken]


def test_every_folder_of_code_is_a_package() -> None:
    """What is no package is not installed."""
    folders = {path.parent for path in FILES if not path.is_relative_to(ROOT / "tests")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_every_file_of_a_bundle_is_installed() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = build["package-data"]["trained_models"]
    for card in (ROOT / "trained_models").glob("*/model.toml"):
        for file in tomllib.loads(card.read_text(encoding="utf-8"))["files"]:
            packed = Path(card.parent.name, file)
            assert any(packed.match(pattern) for pattern in patterns), packed


def test_what_is_committed_of_models_is_small() -> None:
    assert sum(p.stat().st_size for p in (ROOT / "trained_models").rglob("*") if p.is_file()) < 80e6


def test_files_stay_readable() -> None:
    longest = {module(p): n for p in FILES if (n := len(p.read_text(encoding="utf-8").splitlines())) > SOFT_LINES}
    if longest:
        pytest.fail(f"split these, or say in a decision why they are long: {longest}")
