"""People moved by themselves: the figures, and the command on a few rendered frames."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from fakes import a_face

from benchmarks.quality import quality
from benchmarks.readers import Box, Found
from benchmarks.reenactment import Reenacted, calmest
from realtime.errors import ConfigError
from realtime.frame import Pixels

HEAD = Path(__file__).resolve().parents[1] / "data" / "rendered_head.mp4"


class SpotReader:
    """Finds five points around the brightest pixel; nothing in a picture without one above 200."""

    def find(self, pixels: Pixels, box: Box) -> Found | None:
        y, x = np.unravel_index(int(pixels[..., 0].argmax()), pixels.shape[:2])
        return None if pixels[y, x, 0] < 200 else Found(np.array([(x, y)] * 5, np.float64), pixels, None)


def spot(x: int) -> Pixels:
    picture = np.full((512, 512, 3), 50, np.uint8)
    picture[100, x] = 255
    return picture


def test_distances_count_at_256_and_lost_faces_apart() -> None:
    second: Any = SpotReader()
    figures = Reenacted(second)
    truth, dark = spot(100), np.full((512, 512, 3), 50, np.uint8)
    figures.see(truth, a_face(), {"output": spot(108), "still": spot(150), "reread": truth})
    figures.see(truth, a_face(), {"output": dark, "still": truth, "reread": truth})
    figures.see(dark, a_face(), {"output": dark, "still": dark, "reread": dark})  # no truth to compare with
    found = figures.figures()
    assert (found["frames"], found["found"]) == (3, 2)
    assert (found["akd_px"], found["mkr"]) == (4.0, 0.5)  # eight of 512
    assert (found["still_akd_px"], found["still_mkr"]) == (12.5, 0.0)
    assert (found["reread_akd_px"], found["reread_l1"]) == (0.0, 0.0)


def test_l1_is_of_whole_pictures_in_parts_of_white() -> None:
    figures = Reenacted(None)
    grey, light = np.full((256, 256, 3), 100, np.uint8), np.full((256, 256, 3), 151, np.uint8)
    figures.see(grey, a_face(), {"output": light, "still": grey, "reread": grey})
    found = figures.figures()
    assert found["l1"] == pytest.approx(51 / 255, abs=1e-4)
    assert (found["akd_px"], found["mkr"]) == (None, None)  # without a second reader nothing is said


def test_the_source_is_the_calmest_frame() -> None:
    calm = a_face()
    shapes = calm.blendshapes.copy()
    shapes[25] = 0.8
    talking = replace(calm, blendshapes=shapes)
    assert calmest([None, talking, calm, talking]) == 2
    with pytest.raises(ConfigError, match="no face"):
        calmest([None, None])


def test_the_command_moves_a_rendered_person_by_herself(tmp_path: Path) -> None:
    report = tmp_path / "self.json"
    done = CliRunner().invoke(
        quality,
        [str(HEAD), "--model", "motion", "--self-reenactment", "--quick", "--frames", "8", "--size", "480x270",
         "--provider", "cpu", "--json", str(report), "--sheet", str(tmp_path / "sheet.png")],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    written = json.loads(report.read_text(encoding="utf-8"))
    figures = written["clips"][0]["reenactment"]
    assert (written["family"], figures["frames"]) == ("reenactment", 7)
    # Moved, the picture is nearer to the truth than standing still.
    assert figures["l1"] < figures["still_l1"]
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--model ada --self-reenactment", "moves no pictures"),
        ("--model ada --avatar mira", "moves no pictures"),
        ("--model motion --self-reenactment --chart c.svg", "no chart"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CliRunner().invoke(quality, [str(HEAD), *options.split()], catch_exceptions=False)
