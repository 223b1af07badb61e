"""A bundle's networks in int8: which of them, measured on which faces, and how good they must stay.

Only what runs for every frame and is heavy becomes int8. Of a motion bundle that is `frame.onnx`: the avatar is
encoded once, and key points that tremble by a step of 8 bits would shake the picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx

from export.calibration import Calibration, faces_for_calibration
from export.families import Part, Plan
from export.int8_acting import check_acting
from export.int8_feeds import lip_sync_feeds, motion_feeds, swap_feeds
from export.int8_graph import Form
from export.int8_judge import Limit
from export.int8_plan import Say
from export.int8_ranges import Feed
from export.parity import TorchNetwork
from export.quantise import quantise

HEAVY = frozenset({"swap.onnx", "frame.onnx", "lip_sync.onnx"})

FACE_DB, MASK_DB, PICTURE_DB = 44.0, 32.0, 40.0
"""Limits of a swapped face where it is seen, of its masks, and of other pictures, as PSNR against fp32. It is
flicker that tells first: a face at 47 dB flickers 4 percent more than in fp32, at 44 dB a sixth more, at 40 dB a
quarter more, at 35 dB twice as much (the packaged swap model on two real drivers, `masquerade bench quality`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Int8Part:
    """One network of a bundle: its graph, the part with samples fit for comparing it, and facts for the record.

    `part` has the held-out faces for samples: int8 is calibrated for faces, not for noise.
    """

    model: onnx.ModelProto
    part: Part
    facts: Mapping[str, Any]


class Int8Bundle:
    """Quantises the parts of one plan, on faces that are looked for once.

    `folder`: pictures or videos to calibrate with, None for the packaged clip; or `calibration` itself. `say` is
    called with a line for each step.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        folder: Path | None = None,
        form: Form = "cpu",
        calibration: Calibration | None = None,
        say: Say = lambda line: None,
    ) -> None:
        self._plan, self._folder, self._form, self._given = plan, folder, form, calibration
        self._say = say

    def quantised(self, model: onnx.ModelProto, part: Part) -> Int8Part:
        """`part`, whose fp32 graph is `model`, in int8; unchanged where it is to stay fp32.

        Raises ModelError where it would not stay good enough, ConfigError for a folder without enough faces.
        """
        if part.file not in HEAVY:
            return Int8Part(model, part, {"precision": "fp32"})
        held_out = self._feeds(part, light=False, held_out=True)
        done = quantise(
            model,
            self._feeds(part, light=True, held_out=False),
            held_out=held_out,
            limit=self._limit(part),
            form=self._form,
            say=lambda line: self._say(f"{part.file}: {line}"),
        )
        facts = {**done.facts, "calibrated_on": self._calibration.source}
        if self._plan.family == "swap":
            self._say(f"{part.file}: int8: acting compared with fp32")
            facts["acting"] = check_acting(model, done.model, self._plan)
        if self._plan.family == "lip-sync":
            facts["sounds"] = "seeded noise in the shape of speech's spectra"
        return Int8Part(done.model, _sampled(part, held_out), facts)

    @cached_property
    def _calibration(self) -> Calibration:
        return self._given or faces_for_calibration(self._folder)

    def _feeds(self, part: Part, *, light: bool, held_out: bool) -> list[Feed]:
        moments = self._calibration.held_out if held_out else self._calibration.used
        table = self._plan.input
        if self._plan.family == "swap":
            return swap_feeds(moments, table, part.inputs, light=light)
        if self._plan.family == "lip-sync":
            return lip_sync_feeds(moments, table, light=light)
        parts = {part.file: part for part in self._plan.parts}
        source, keypoints = (_torch(parts[file]) for file in ("source.onnx", "keypoints.onnx"))
        return motion_feeds(moments, table, source, keypoints, light=light)

    def _limit(self, part: Part) -> Limit:
        if self._plan.family != "swap":
            return Limit(psnr_db=PICTURE_DB)
        names = self._plan.output
        masks = [names[key] for key in ("mask", "driver_mask") if key in names]
        return Limit(psnr_db=FACE_DB, outputs=dict.fromkeys(masks, MASK_DB), seen={names["face"]: names["mask"]})


def _torch(part: Part) -> TorchNetwork:
    return TorchNetwork(part.network, part.inputs, list(part.outputs))


def _sampled(part: Part, feeds: Sequence[Feed]) -> Part:
    return Part(
        part.file,
        part.network,
        part.inputs,
        part.outputs,
        lambda count: [feeds[number * len(feeds) // count] for number in range(min(count, len(feeds)))],
        part.batched,
    )
