"""The program's own session under the leak benchmark: no face may leave as it came in."""

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from commands import Call
from heads import pictures
from pages import Browser, Socket

from benchmarks.leak.command import leak
from benchmarks.leak.faults import KINDS, run_trials
from benchmarks.leak.figure_faults import camera_pixels, magenta, run_figure_trials
from benchmarks.leak.judge import likeness, region_of
from benchmarks.leak.run import film
from benchmarks.leak.scenarios import Casting, alone, page
from benchmarks.leak.scenes import Scene
from realtime.families.face_swap.dfm import inspect_dfm
from realtime.frame import Frame, Pixels
from realtime.models.library import add_file
from realtime.web.server import Page

TRIALS = 300


@pytest.mark.slow
def test_no_fault_lets_a_face_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    report = run_trials(TRIALS)
    assert report["leaks"] == []
    assert report["pictures"] > 3 * TRIALS
    assert all(found["trials"] >= 2 for found in report["stages"].values())
    assert set(report["stages"]) == set(KINDS)


@pytest.mark.slow
def test_no_fault_of_a_figure_shows_the_camera_or_ends_in_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    report = run_figure_trials(TRIALS)
    assert report["leaks"] == []
    assert report["pictures"] > 4 * TRIALS
    assert all(found["trials"] >= 2 for found in report["stages"].values())
    assert report["stages"]["rig"]["ended"] >= 5  # refused in words


def test_the_camera_is_known_by_its_colour() -> None:
    frame = magenta(1, (64, 36))
    assert camera_pixels(frame) == 64 * 36
    half = np.full_like(frame, 128)
    half[:, :32] = 0.7 * frame[:, :32] + 0.3 * half[:, :32]
    assert camera_pixels(half) == 32 * 36
    assert camera_pixels(np.full_like(frame, 200)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["poster_first", "misfit", "gives_its_input"])
def test_no_scene_lets_a_face_out(scenario: str, tmp_path: Path) -> None:
    file = tmp_path / "leak.json"
    leak.main(["--scenario", scenario, "--quick", "--json", str(file)], standalone_mode=False)
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["total"]["outputs"] == 40
    assert report["total"]["leaking"] == 0


@pytest.mark.slow
def test_a_person_who_arrives_beside_a_poster_is_never_shown(shared: Path, tmp_path: Path, call: Call) -> None:
    source, output, metrics = shared / "cases" / "arrives_beside_a_poster.mp4", tmp_path / "o.mp4", tmp_path / "o.json"
    if not source.is_file():
        pytest.skip("the case is not here")
    code, _, err = call("run", "--source", source, "--model", "ada", "--output", output, "--metrics", metrics)
    assert code == 0, err
    given, shown = pictures(source), pictures(output)
    assert len(given) == len(shown) == 75
    apart = [np.abs(a.astype(int) - b)[150:290, 100:200].mean() for a, b in zip(given, shown, strict=True)]
    raw = json.loads(metrics.read_text(encoding="utf-8"))["frames"]["raw"]
    assert sum(difference <= 5 for difference in apart[30:]) <= raw
    assert raw == 0


def shown(scene: Scene, number: int, output: Pixels) -> bool:
    """Whether a picture shows a face of the scene's picture of that number, colours and compression aside."""
    given = scene.picture(number)
    for face in given.faces:
        if (region := region_of(face)) is not None:
            rows, columns, mask = region
            if likeness(given.pixels[rows, columns], output[rows, columns], mask).shown:
                return True
    return False


class Visitor:
    """A browser that opens a running page, looks at some pictures, leaves it and comes again. Obeys `Sink`."""

    name = "visitor"

    def __init__(self, opened: Page) -> None:
        self._browser = Browser(f"http://127.0.0.1:{opened.port}")
        assert self._browser.enter(opened.url).status == 200
        self._sockets = ExitStack()
        self._socket: Socket | None = None
        self._shown = 0
        self.seen: list[Pixels] = []

    def show(self, frame: Frame) -> None:
        """Open the page before every eighth picture but one, look at the newest one and close it after six more."""
        if self._shown % 8 == 1:
            self._socket = self._sockets.enter_context(self._browser.socket("/ws/live"))
        elif self._shown % 8 == 7 and self._socket is not None:
            self.seen.append(self._socket.picture())
            self._sockets.close()
        self._shown += 1

    def close(self) -> None:
        self._sockets.close()
        self._browser.close()


@pytest.mark.slow
def test_a_page_that_is_opened_and_closed_shows_no_face(monkeypatch: pytest.MonkeyPatch) -> None:
    visitors: list[Visitor] = []
    opened: list[Page] = []

    def open_page() -> Page:
        opened.append(Page())
        return opened[0]

    def visit(parts: Any) -> None:
        visitors.append(Visitor(opened[0]))
        parts.sinks.append(visitors[0])

    monkeypatch.setattr("benchmarks.leak.run.Page", open_page)
    scene = replace(page(Casting(3, 40)), faulty=visit)
    take = film(scene, 40)
    assert (take.outputs, take.leaking, take.ended) == (40, 0, None)
    seen = visitors[0].seen
    assert len(seen) == 5
    assert not any(shown(scene, number, picture) for picture in seen for number in range(40))
    jpeg = cv2.imencode(".jpg", scene.picture(20).pixels, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    assert shown(scene, 20, np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)), "it would be noticed"


def returning_dfm(file: Path, side: int) -> Path:
    """A .dfm whose network gives back the face that it gets, with masks that take all of it."""
    onnx = pytest.importorskip("onnx")
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    masks = ("out_face_mask:0", "out_celeb_face_mask:0")
    nodes = [make.make_node("Identity", ["in_face:0"], ["out_celeb_face:0"])]
    nodes += [make.make_node("ReduceMean", ["in_face:0"], ["mean"], axes=[3])]
    nodes += [make.make_node("Pow", ["mean", "zero"], [name]) for name in masks]
    faces, mask = ["N", side, side, 3], ["N", side, side, 1]
    inputs = [make.make_tensor_value_info("in_face:0", floats, faces)]
    outputs = [make.make_tensor_value_info(name, floats, mask) for name in masks]
    outputs.insert(1, make.make_tensor_value_info("out_celeb_face:0", floats, faces))
    graph = make.make_graph(nodes, "same", inputs, outputs, [make.make_tensor("zero", floats, [1], [0.0])])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 12)], ir_version=7)
    file.write_bytes(model.SerializeToString())
    return file


@pytest.mark.slow
@pytest.mark.parametrize("side", [96, 256])
def test_a_dfm_that_returns_its_input_shows_nobody(tmp_path: Path, side: int) -> None:
    file = returning_dfm(tmp_path / "same.dfm", side)
    add_file(file, inspect=inspect_dfm, identity="synthetic", statement="Whoever sits there.")
    take = film(alone(Casting(1, 12)), 12, model="same")
    assert (take.outputs, take.leaking, take.ended) == (12, 0, None)
    assert take.kinds["card"] == 12
