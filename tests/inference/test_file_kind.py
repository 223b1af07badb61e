"""What a file is, whatever its name says."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bundles import RELU

from realtime.errors import ModelError
from realtime.inference import file_kind
from realtime.inference.file_kind import UNKNOWN, kind_of, open_zip, read_arrays


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return stream.getvalue()


PAGE = "<!DOCTYPE html><title>Quota exceeded</title>"
SAFE = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
KINDS = {
    "empty": b"",
    "nothing but zeros": bytes(9000),
    "a web page": PAGE.encode(),
    "a web page, saved": b"\xef\xbb\xbf\n  <HTML>" + b"x" * 9000,
    "a web page, saved in": PAGE.encode("utf-16"),
    "an XML text": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "an OpenVINO model": b'<?xml version="1.0"?>\n<net name="x" version="11">',
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "a git-annex pointer": b"/annex/objects/SHA256E-s1--0.pth\n",
    "a JSON text": b'{"error": {"code": 403, "message": "quota"}}',
    "a text (it begins: Not Found)": b"Not Found",
    "a text (it begins: import torch": "import torch\nprint('é')\n".encode(),
    "a link to a web page": b"[InternetShortcut]\r\nURL=https://example.org/",
    "a gzip archive": b"\x1f\x8b\x08" + bytes(20),
    "a 7-Zip archive": b"7z\xbc\xaf\x27\x1c" + bytes(20),
    "a RAR archive": b"Rar!\x1a\x07\x01\x00",
    "a tar archive": b"a.pth" + bytes(252) + b"ustar\x0000" + bytes(300),
    "a zip archive of other files (wav2lip.pth, README)": zipped("wav2lip.pth", "README"),
    "an empty zip archive": zipped(),
    "a zip archive or checkpoint that is cut off": zipped("archive/data.pkl")[:-30],
    "an archive of NumPy arrays": zipped("a.npy"),
    "a PyTorch checkpoint": zipped("archive/data.pkl", "archive/version"),
    "a TorchScript file": zipped("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"),
    "a TorchScript": zipped("m/model.json", "m/tensors/0"),
    "a safetensors file": len(SAFE).to_bytes(8, "little") + SAFE + bytes(4),
    "an HDF5 file (Keras)": b"\x89HDF\r\n\x1a\n" + bytes(20),
    "a GGUF file": b"GGUF\x03" + bytes(20),
    "a TensorFlow Lite model": b"\x1c\0\0\0TFL3" + bytes(20),
    "a JPEG picture": b"\xff\xd8\xff\xe0",
    "a HEIC picture": b"\0\0\0\x18ftypheic",
    "a video": b"\0\0\0\x18ftypisom",
    "a Windows program": b"MZ\x90",
    "a pickle": b"\x80\x04]\x94.",
    "an ONNX network": RELU,
    UNKNOWN: b"\x9c\x01\x02" * 99,
}


@pytest.mark.parametrize("title", KINDS)
def test_a_file_is_named_for_what_it_is(tmp_path: Path, title: str) -> None:
    (tmp_path / "wav2lip.pth").write_bytes(KINDS[title])
    found = kind_of(tmp_path / "wav2lip.pth")
    assert found.title.startswith(title)
    assert found == kind_of(KINDS[title])
    assert found.do


def test_folders_are_named(tmp_path: Path) -> None:
    assert kind_of(tmp_path).title == "a folder"
    (tmp_path / "saved_model.pb").touch()
    assert kind_of(tmp_path).title == "a TensorFlow SavedModel"


def test_a_zips_directory_has_a_limit() -> None:
    """Without one, a large file of nothing but directory entries is made into objects first."""
    many = zipped("a", "b")
    at = many.index(b"PK\x01\x02")
    entry = many[at : many.index(b"PK\x01\x02", at + 1)]
    directory = entry * ((9 << 20) // len(entry))
    end = many[many.index(b"PK\x05\x06") :]
    huge = many[:at] + directory + end[:12] + len(directory).to_bytes(4, "little") + end[16:]
    assert "cut off or damaged" in kind_of(huge).title
    with pytest.raises(zipfile.BadZipFile, match="directory"), open_zip(huge):
        pass
    with open_zip(many) as archive:
        assert archive.read("b") == b"x"


def test_arrays_are_read_within_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = tmp_path / "good.npz"
    np.savez_compressed(good, points=np.zeros((100, 100)), weights=np.ones(3))
    points, weights = read_arrays(good, "points", "weights")
    assert (points.shape, weights.tolist()) == ((100, 100), [1.0] * 3)
    claims = tmp_path / "claims.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
    with zipfile.ZipFile(claims, "w") as archive:
        archive.writestr("points.npy", header.getvalue())
    (tmp_path / "text.npz").write_text("no arrays", encoding="utf-8")
    for file, name in ((claims, "points"), (tmp_path / "text.npz", "points"), (good, "none"), (tmp_path / "no", "x")):
        with pytest.raises(ModelError, match=f"{file.name} is damaged"):
            read_arrays(file, name)
    monkeypatch.setattr(file_kind, "MAX_ARRAYS", 50_000)  # packed it is far smaller
    with pytest.raises(ModelError, match="damaged"):
        read_arrays(good, "points")
