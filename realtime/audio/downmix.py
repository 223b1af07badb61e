"""Many channels as one: the mean of two, and ITU-R BS.775's fold of a surround bed."""

import numpy as np
import numpy.typing as npt

from realtime.frame import Floats

_HALF_POWER = 0.5**0.5

_WEIGHTS = {
    **dict.fromkeys(("FL", "FR"), _HALF_POWER),
    "FC": 1.0,
    **dict.fromkeys(("BL", "BR", "SL", "SR", "BC", "FLC", "FRC"), 0.5),
    **dict.fromkeys(("LFE", "LFE2"), 0.0),
}
"""By FFmpeg's channel names (ITU-R BS.775-3, to mono); the voice is in the centre, the effects channel has none."""

_OTHERS = 0.5


def weights(channels: list[str]) -> npt.NDArray[np.float64]:
    """How much of each channel is in the mono sum, (n,) float64, together 1: full scale stays full scale.

    Equal parts for one and two channels, whatever they are called, as librosa and with it Wav2Lip has it.
    """
    if len(channels) > 2:
        raw = np.array([_WEIGHTS.get(name, _OTHERS) for name in channels])
        if raw.sum() > 0:
            return np.asarray(raw / raw.sum())
    return np.full(len(channels), 1.0 / len(channels))


def to_mono(samples: npt.NDArray[np.float32], channels: list[str]) -> Floats:
    """(n,) float32 out of (channels, n)."""
    if len(samples) == 1:
        return np.asarray(samples[0], np.float32)
    mixed: Floats = np.einsum("c,cn->n", weights(channels), samples).astype(np.float32)
    return mixed
