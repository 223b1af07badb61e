"""Compares two ways of running a network on the same samples, and says whether they are near enough.

What counts as near depends on what an output is: a picture's numbers are 0..1 and are looked at, key points are
places in -1..1 and one step of them moves a face, other numbers (features, Jacobians) have no scale but their own.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np

from realtime.errors import ModelError
from realtime.inference.session import Array
from realtime.text import printable

Kind = Literal["picture", "face", "mask", "points", "numbers"]
Precision = Literal["fp32", "fp16", "int8"]
Feed = Mapping[str, Array]

EQUAL_DB = 150.0
"""The PSNR given for two pictures without any difference; float32 itself ends there."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What is near enough; None is not asked. `worst`: largest difference. `relative`: that of the largest number
    the reference gave. `psnr_db`: the least peak signal-to-noise ratio."""

    worst: float | None = None
    relative: float | None = None
    psnr_db: float | None = None


PICTURES: tuple[Kind, ...] = ("picture", "face", "mask")
LIMITS: Mapping[Precision, Mapping[Kind, Limit]] = MappingProxyType(
    {
        # 1e-4 is a fortieth of a level of 255, and thirty times what float32 itself varies by (the references).
        "fp32": {
            **dict.fromkeys(PICTURES, Limit(worst=1e-4)),
            "points": Limit(worst=1e-5),
            "numbers": Limit(relative=1e-4),
        },
        # 45 dB is an error of 1.4 levels of 255; 2e-3 is a quarter of a pixel of 256.
        "fp16": {
            **dict.fromkeys(PICTURES, Limit(psnr_db=45)),
            "points": Limit(worst=2e-3),
            "numbers": Limit(relative=2e-2),
        },
        # Flicker tells first: a swapped face at 47 dB flickers 4 percent more than in fp32, at 44 dB a sixth more, at
        # 40 dB a quarter more, at 35 dB twice as much (measured on two real drivers). 8e-3 is a pixel of 256.
        "int8": {
            "picture": Limit(psnr_db=40),
            "face": Limit(psnr_db=44),
            "mask": Limit(psnr_db=32),
            "points": Limit(worst=8e-3),
            "numbers": Limit(relative=1e-1),
        },
    }
)


class Runs(Protocol):
    """A session, or anything else that runs a network: inputs by name to outputs by name."""

    def run(self, feed: Feed) -> dict[str, Array]: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """How one output differs, over all samples.

    `worst` and `mean` are of the absolute difference, `relative` is `worst` as a part of the largest number
    that the reference gave. `psnr_db` is of a peak of 1, None for what is no picture. `finite` is False, and
    the others endless, where either side gave NaN or infinity.
    """

    output: str
    kind: Kind
    worst: float
    mean: float
    relative: float
    psnr_db: float | None
    finite: bool

    def strain(self, limit: Limit) -> float:
        """The squared error as a multiple of what the limit allows: 1 is just near enough."""
        if not self.finite:
            return math.inf
        psnr = self.psnr_db if self.psnr_db is not None else math.inf
        return max(
            0.0 if limit.worst is None else (self.worst / limit.worst) ** 2,
            0.0 if limit.relative is None else (self.relative / limit.relative) ** 2,
            0.0 if limit.psnr_db is None else 10 ** ((limit.psnr_db - psnr) / 10),
        )


@dataclass(frozen=True, slots=True)
class Parity:
    """The differences of all outputs over `samples` samples."""

    differences: tuple[Difference, ...]
    samples: int

    @property
    def worst(self) -> Difference:
        """The output that differs most: by its own scale, as features have another one than pictures."""
        return max(self.differences, key=lambda difference: difference.relative)

    def strain(self, precision: Precision) -> float:
        """The largest `Difference.strain` by `LIMITS`: what is no more than 1 is near enough."""
        return max(difference.strain(LIMITS[precision][difference.kind]) for difference in self.differences)

    def check(self, precision: Precision, what: str) -> None:
        """Raise ModelError, one line about the first output that is off, unless all of `what` is near enough."""
        for difference in self.differences:
            if not difference.finite:
                raise ModelError(
                    f"{what}: {difference.output} has values that are no numbers (NaN or infinity): "
                    "the checkpoint is broken, or the precision too small for it"
                )
            limit = LIMITS[precision][difference.kind]
            if difference.strain(limit) > 1:
                psnr = "" if difference.psnr_db is None else f" ({difference.psnr_db:.1f} dB)"
                raise ModelError(
                    f"{what}: {difference.output} is {difference.worst:.2g}{psnr} off the checkpoint's network, "
                    f"{precision} may be {_allowed(limit)}: "
                    + ("report it" if precision == "fp32" else "export it with --precision fp32")
                )

    def facts(self) -> list[dict[str, Any]]:
        """The differences as plain values, for a file."""
        return [{k: v for k, v in asdict(difference).items() if k != "finite"} for difference in self.differences]


def compare(
    reference: Runs,
    candidate: Runs,
    samples: Iterable[Feed],
    outputs: Mapping[str, Kind],
    shown_by: Mapping[str, str] = MappingProxyType({}),
) -> Parity:
    """Runs both on the same samples. `outputs`: which to compare, and what they are.

    `shown_by` names for a picture the mask output that covers it: its PSNR then counts each pixel by that mask.
    Raises ModelError where one of them is missing, or has another shape on one side. Nothing is judged yet.
    """
    tallies = {name: _Tally(name, kind) for name, kind in outputs.items()}
    count = 0
    for feed in samples:
        wanted, given = reference.run(feed), candidate.run(feed)
        count += 1
        for name, tally in tallies.items():
            for side, whose in ((wanted, "the reference"), (given, "the candidate")):
                if name not in side:
                    have = printable(", ".join(side), 80)
                    raise ModelError(f"{whose} gives no {name!r}, but {have}: compare networks of one kind")
            tally.add(wanted[name], given[name], wanted.get(shown_by.get(name, "")))
    if not count:
        raise ModelError("there is no sample to compare on: give one")
    return Parity(tuple(tally.difference() for tally in tallies.values()), count)


class _Tally:
    """The running difference of one output."""

    def __init__(self, output: str, kind: Kind) -> None:
        self._output, self._kind = output, kind
        self._worst = self._total = self._squares = self._weights = self._peak = 0.0
        self._count = 0
        self._finite = True

    def add(self, wanted: Array, given: Array, mask: Array | None) -> None:
        if wanted.shape != given.shape:
            raise ModelError(f"{self._output} is {wanted.shape} on one side and {given.shape} on the other")
        if not (np.isfinite(wanted).all() and np.isfinite(given).all()):
            self._finite = False
            return
        away = np.abs(np.asarray(wanted, np.float64) - np.asarray(given, np.float64))
        if not away.size:
            return
        self._worst = max(self._worst, float(away.max()))
        self._peak = max(self._peak, float(np.abs(wanted).max()))
        self._total += float(away.sum())
        self._count += away.size
        shown = mask if mask is not None and mask.sum() > 0 else np.ones(1)
        weights = np.broadcast_to(np.asarray(shown, np.float64), away.shape)
        self._squares += float((np.square(away) * weights).sum())
        self._weights += float(weights.sum())

    def difference(self) -> Difference:
        is_picture = self._kind in PICTURES
        if not self._finite:
            psnr = -math.inf if is_picture else None
            return Difference(self._output, self._kind, math.inf, math.inf, math.inf, psnr, finite=False)
        relative = self._worst / self._peak if self._peak else (math.inf if self._worst else 0.0)
        squared = self._squares / max(self._weights, 1.0)
        psnr = min(EQUAL_DB, -10 * math.log10(max(squared, 1e-30))) if is_picture else None
        mean = self._total / max(self._count, 1)
        return Difference(self._output, self._kind, self._worst, mean, relative, psnr, finite=True)


def _allowed(limit: Limit) -> str:
    said = [f"{limit.worst:.0e}" if limit.worst is not None else ""]
    said.append(f"{limit.relative:.0e} of the largest number" if limit.relative is not None else "")
    said.append(f"no less than {limit.psnr_db:.0f} dB" if limit.psnr_db is not None else "")
    return " and ".join(filter(None, said))
