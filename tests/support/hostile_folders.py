"""Hostile folders and texts: bundles with their cards, DeepFaceLab models, YAML files."""

import itertools
import os
import pickle
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bundles import a_bundle
from deepfacelab_models import filled, names_of, write_model
from hostile_pickles import bombs, payloads, pickled, table

FolderCase = tuple[str, Callable[[Path], object], str]
"""Title, what makes the folder, and what must become of it."""


def _instead(folder: Path, file: str, put: Callable[[Path], object]) -> None:
    """A good bundle with something else in place of one of its files."""
    a_bundle(folder)
    (folder / file).unlink()
    put(folder / file)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 42)


def bundles() -> Iterator[FolderCase]:
    ends: dict[str, Callable[[Path], object]] = {
        "a link out": lambda path: path.symlink_to("/etc/passwd"),
        "a link to itself": lambda path: path.symlink_to(path),
        "a pipe": os.mkfifo,
        "a folder": Path.mkdir,
        "a device": lambda path: path.symlink_to("/dev/zero"),
        "without an end": _sparse,
        "empty": Path.touch,
        "gone": lambda path: None,
    }
    for file, (title, put) in itertools.product(("swap.onnx", "model.toml"), ends.items()):
        yield f"{file} {title}", partial(_instead, file=file, put=put), "refused"
    for title, text in {
        "a card of brackets": "[" * 60_000,
        "a card of dots": "a" + ".a" * 1900 + " = 1",
        "a card of one number": "schema = " + "9" * 4000,
        "a card of tables": "\n".join(f"[t{i}]" for i in range(8000)),
        "a card of files": "schema = 1\n[files]\n" + "\n".join(f'"f{i}" = "sha256:{"0" * 64}"' for i in range(700)),
        "a card that clears the screen": 'schema = 1\nname = "eve"\ntitle = "\\u001b[2J"\n[identity]\nkind = "none"',
    }.items():
        yield title, partial(_instead, file="model.toml", put=partial(Path.write_text, data=text)), "refused"


def damaged_cards(count: int, seed: int) -> Iterator[FolderCase]:
    chance = random.Random(seed)

    def damage(folder: Path) -> None:
        raw = bytearray((a_bundle(folder) / "model.toml").read_bytes())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(raw))
            raw[at : at + chance.randint(0, 6)] = chance.randbytes(chance.randint(0, 6))
        (folder / "model.toml").write_bytes(raw)

    for number in range(count):
        yield f"damaged {number}", damage, "refused"  # a card that passes names a network that is none


def deepfacelab(network: Any, canary: str) -> Iterator[FolderCase]:
    """Payloads in the options and in the weights, and sizes that no model has. `network`: for the good weights."""
    parts = filled(names_of(network))

    def model(folder: Path, file: str = "", content: bytes = b"", **options: Any) -> None:
        write_model(folder, parts, **{"archi": "df", **options})
        if file:
            (folder / f"tiny_SAEHD_{file}").write_bytes(content)

    def with_file(file: str, content: bytes) -> Callable[[Path], None]:
        return partial(model, file=file, content=content)

    yield "good", model, "read"
    for title, body in payloads(canary).items():
        options = pickled(table({"iter": b"K\x05", "options": body}), 4)
        yield f"options: {title}", with_file("data.dat", options), "refused"
        yield f"weights: {title}", with_file("encoder.npy", pickled(table({"a:0": body}), 4)), "refused"
    for title, body in bombs().items():
        yield f"options: {title}", with_file("data.dat", pickled(body, 4)), "refused"
    objects = np.array([{"a": 1}, None], object)
    for file in ("encoder.npy", "data.dat"):
        path = Path(canary).with_suffix(".npy")
        np.save(path, objects)
        yield f"an array of objects in {file}", with_file(file, path.read_bytes()), "refused"
        yield f"pickled objects in {file}", with_file(file, pickle.dumps({"a:0": objects}, 4)), "refused"
        np.save(path, np.zeros(4, np.float32))
        yield f"NumPy's own form in {file}", with_file(file, path.read_bytes()), "refused"
        path.unlink()
    sizes = {"resolution": 1 << 40, "ae_dims": 1 << 40, "e_dims": -8, "d_dims": 0, "d_mask_dims": "8"}
    for name, value in (sizes | {"archi": "df-" + "x" * 9999}).items():
        yield f"{name} of {value!r:.20}", partial(model, **{name: value}), "refused"


def damaged_models(network: Any, count: int, seed: int) -> Iterator[FolderCase]:
    """A DeepFaceLab model with cut or flipped files."""
    parts, chance = filled(names_of(network)), random.Random(seed)

    def damage(folder: Path) -> None:
        write_model(folder, parts, archi="df")
        file = folder / f"tiny_SAEHD_{chance.choice(['data.dat', 'encoder.npy', 'inter.npy', 'decoder_src.npy'])}"
        raw = bytearray(file.read_bytes())
        if chance.random() < 0.3:
            del raw[chance.randrange(len(raw)) :]
        else:
            for _ in range(chance.randint(1, 4)):
                raw[chance.randrange(min(len(raw), 600))] ^= 1 << chance.randrange(8)
        file.write_bytes(raw)

    for number in range(count):
        yield f"damaged {number}", damage, "any"


GOOD_YAML = """
dataset_params: {frame_shape: [256, 256, 3]}
model_params:
  common_params: {num_kp: 2, num_channels: 3, estimate_jacobian: True}
  kp_detector_params: {temperature: 0.1, block_expansion: 2, max_features: 4, scale_factor: 0.25, num_blocks: 1}
  generator_params:
    block_expansion: 2
    max_features: 4
    num_down_blocks: 1
    num_bottleneck_blocks: 1
    estimate_occlusion_map: True
    dense_motion_params: {block_expansion: 2, max_features: 4, num_blocks: 1, scale_factor: 0.25}
"""


def yaml_files(canary: str) -> Iterator[tuple[str, bytes, str]]:
    yield "good", GOOD_YAML.encode(), "read"
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    texts = {
        "a call": f"model_params: !!python/object/apply:os.mkdir [{canary}]",
        "a call with arguments": f"model_params: !!python/object/apply:os.system ['touch {canary}']",
        "a new object": f"!!python/object/new:os.mkdir [{canary}]",
        "a module": "!!python/module:canary_code",
        "a name": "model_params: !!python/name:canary_code.run",
        "a tuple": "model_params: !!python/tuple [1, 2]",
        "a tag of its own": "model_params: !mkdir canary",
        "a billion laughs": laughs + "model_params: *a59",
        "itself": "model_params: &m {common_params: *m}",
        "merged with itself": "model_params: &m\n  <<: *m",
        "brackets": "[" * 30_000,
        "braces": "{" * 9_000 + "}" * 9_000,
        "dashes": "- " * 20_000,
        "a large file": "#" * 70_000,
        "two documents": "--- {}\n--- {}",
        "a list": "- 1\n- 2",
        "nothing": "",
        "a list as a key": "? [1, 2]\n: 3",
        "a dict as a key": "? {a: 1}\n: 3",
        "a bad date": "model_params: 2001-99-99",
        "a number in base 60": "model_params: 9" + ":59" * 900,
        "an unknown anchor": "model_params: *nobody",
        "a tab": "a:\n\t- b",
        "a bell": "model_params: \a",
    }
    for title, text in texts.items():
        yield title, text.encode(), "refused"
    yield "no text", bytes(range(256)), "refused"
    for old, new in {
        "num_kp: 2": "num_kp: 1000000000000",
        "num_channels: 3": "num_channels: .nan",
        "block_expansion: 2, ": "block_expansion: -2, ",
        "temperature: 0.1": "temperature: .inf",
        "num_blocks: 1": "num_blocks: 99",
        "num_bottleneck_blocks: 1": "num_bottleneck_blocks: [1]",
        "[256, 256, 3]": "[256, 128, 3]",
        "estimate_jacobian: True": "estimate_jacobian: 'yes'",
        "scale_factor: 0.25": "scale_factor: 1e-300",
    }.items():
        yield new, GOOD_YAML.replace(old, new).encode(), "refused"
