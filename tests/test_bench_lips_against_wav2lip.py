"""The built-in lip-sync network against Wav2Lip of its size."""

import numpy as np
import pytest
from click.testing import CliRunner

from realtime.models import built_in_folder

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from benchmarks.lips_against_wav2lip import contest, main, of_size  # noqa: E402
from benchmarks.upstream_networks import Upstream  # noqa: E402
from export.networks.wav2lip import WAV2LIP_96  # noqa: E402

FILE = built_in_folder() / "lip-sync" / "lip_sync.onnx"


def test_wav2lip_grows_with_the_picture() -> None:
    assert of_size(96) == WAV2LIP_96
    assert of_size(128).size == 128


def test_both_are_run_in_turns_on_the_same_feed() -> None:
    seen: list[set[str]] = []

    def eager(feed: dict[str, object]) -> dict[str, object]:
        seen.append(set(feed))
        torch.randn(300, 300) @ torch.randn(300, 300)
        return {}

    feed = {"mel": np.full((1, 1, 80, 16), -4, np.float32), "faces": np.zeros((1, 6, 128, 128), np.float32)}
    upstream = Upstream("lip-sync", "nothing", (), {}, [feed], {}, {}, eager)
    found = contest(FILE, upstream, 1, runs=5, seconds=60)
    assert len(seen) == 5 + 3
    assert seen[0] == {"mel", "faces"}
    assert found["built_in"]["runs"] == found["wav2lip"]["runs"] == 5
    assert found["met"] == (found["times_as_fast"]["in_rounds"] >= 3)


def test_the_command_wants_a_lip_sync_model() -> None:
    done = CliRunner().invoke(main, ["nobody-here"])
    assert done.exit_code != 0
    assert "there is no model" in str(done.exception)
