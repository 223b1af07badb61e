"""From bundles to puppets: which kind they are, and what they move."""

from pathlib import Path

from bundles import a_bundle, one_line

from realtime.families.motion.effect import open_motion_model
from realtime.families.motion.mesh.model import MESH_FILE
from realtime.models.bundle import hash_file, open_bundle
from realtime.models.library import load_bundle


def test_the_built_in_model_moves_faces() -> None:
    bundle = load_bundle("motion")
    assert MESH_FILE in bundle.card.files
    puppet = open_motion_model(bundle, provider="cpu")
    try:
        assert puppet.needs_face
        assert len(puppet.sessions) == 2
    finally:
        puppet.close()
        puppet.close()


def test_a_bundle_that_is_no_kind_of_puppet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x")
    made = a_bundle(
        tmp_path / "eve",
        family="motion",
        identity={"kind": "none"},
        files={"x.onnx": hash_file(tmp_path / "x.onnx")},
        input={"size": 64},
    )
    (tmp_path / "x.onnx").rename(made / "x.onnx")
    assert "this has neither" in one_line(lambda: open_motion_model(open_bundle(made)))
