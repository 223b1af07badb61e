"""Steadier landmarks with little lag: the One-Euro filter (Casiez, Roussel and Vogel, CHI 2012).

It is a low-pass whose cutoff rises with speed. The whole face (a similarity: place, turn, size), the mean over 478
points, has little noise and a quick filter; what is left, the parts' motion within the face, has more noise and a
slower one. Speeds are in face sizes a second, so a small face in the picture is treated as a large one.
"""

import numpy as np
import numpy.typing as npt

from realtime.frame import Doubles, Floats

# (lowest cutoff in Hz, Hz for each face size a second, cutoff of the speed in Hz). Measured on 720p
# talking heads: jitter 0.38 and 0.48 px (unfiltered 0.78 and 0.97), lag 0.9 frame at most. MediaPipe's own
# filter there: 0.48 and 0.61 px with 1.05 frames.
WHOLE = (1.0, 45.0, 1.0)
PARTS = (2.0, 25.0, 0.7)
EXPRESSION = (6.0, 4.0, 3.0)  # of blendshapes, whose unit is 1

MAX_STEP_S = 0.25  # a longer gap starts afresh


class OneEuro:
    """The filter for rows of values that share a cutoff each: (n, d) with one speed a row."""

    def __init__(self, lowest_hz: float, gain: float, speed_hz: float) -> None:
        self._lowest_hz, self._gain, self._speed_hz = lowest_hz, gain, speed_hz
        self._value: Doubles | None = None
        self._raw: Doubles = np.zeros(0)
        self._speed: Doubles = np.zeros(0)

    def __call__(self, value: Doubles, step_s: float, steadiness: float = 1.0, unit: float = 1.0) -> Doubles:
        """The filtered value, `step_s` after the last one.

        `steadiness` divides the cutoffs, 0 is off. Speed is counted in `unit`s a second.
        """
        if self._value is None or steadiness <= 0 or step_s <= 0:
            self._value, self._raw, self._speed = value, value, np.zeros_like(value)
            return value
        speed = (value - self._raw) / step_s
        self._speed = self._speed + _share(self._speed_hz, step_s) * (speed - self._speed)
        self._raw = value
        pace = np.linalg.norm(self._speed, axis=-1, keepdims=True) / unit
        share = _share((self._lowest_hz + self._gain * pace) / steadiness, step_s)
        self._value = self._value + share * (value - self._value)
        return self._value


class FaceFilter:
    """Steadies one person's landmarks and blendshapes from frame to frame."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._start(np.zeros((1, 3), np.float32))  # replaced by the first face

    def _start(self, landmarks: Floats) -> None:
        """Forgets the past; the shape of `landmarks` is what later faces are laid against."""
        flat = _flat(landmarks)
        size = float(np.ptp(flat.real) + np.ptp(flat.imag)) / 2 or 1.0
        self._shape = (flat - flat.mean()) / size
        self._power = float(np.sum(np.abs(self._shape) ** 2)) or 1.0
        self._whole, self._parts, self._expression = OneEuro(*WHOLE), OneEuro(*PARTS), OneEuro(*EXPRESSION)

    def __call__(
        self, landmarks: Floats, blendshapes: Floats, now_s: float, steadiness: float = 1.0
    ) -> tuple[Floats, Floats]:
        """The steadied landmarks (478, 3) and blendshapes (52,). `now_s` is the frame's time in seconds.

        Time that stands still, runs back or jumps (another picture, a looped file) starts afresh.
        """
        step_s = now_s - self._last_s if self._last_s is not None else 0.0
        self._last_s = now_s
        if not 0 < step_s <= MAX_STEP_S:
            self._start(landmarks)
            step_s = 0.0
        flat = _flat(landmarks)
        centre = flat.mean()
        # The similarity from the start's shape to this face: its size (pixels) and angle in one number.
        turn = complex(np.vdot(self._shape, flat - centre) / self._power) or 1e-6 + 0j
        size = abs(turn)
        parts = np.column_stack([_pairs((flat - centre) / turn - self._shape), landmarks[:, 2] / size])
        whole = np.array([[centre.real, centre.imag, turn.real, turn.imag]])
        whole = self._whole(whole, step_s, steadiness, unit=size)[0]
        parts = self._parts(parts, step_s, steadiness)
        centre, turn = complex(whole[0], whole[1]), complex(whole[2], whole[3])
        flat = (parts[:, 0] + 1j * parts[:, 1] + self._shape) * turn + centre
        steady = np.column_stack([_pairs(flat), parts[:, 2] * abs(turn)]).astype(np.float32)
        expression = self._expression(blendshapes.astype(np.float64)[:, None], step_s, steadiness)
        return steady, expression[:, 0].astype(np.float32)


def _share(cutoff_hz: float | Doubles, step_s: float) -> Doubles:
    """How much of a new value a low-pass of that cutoff takes in after `step_s`."""
    return np.asarray(1.0 / (1.0 + 1.0 / (2.0 * np.pi * cutoff_hz * step_s)))


def _flat(landmarks: Floats) -> npt.NDArray[np.complex128]:
    return landmarks[:, 0].astype(np.complex128) + 1j * landmarks[:, 1]


def _pairs(values: npt.NDArray[np.complex128]) -> Doubles:
    return np.column_stack([values.real, values.imag])
