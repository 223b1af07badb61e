"""`--record-motion`: the motion of a figure as numbers, one row a picture."""

from pathlib import Path

import numpy as np

from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.skeleton import JOINTS, Moment

BLENDSHAPES = 52


class MotionRecorder:
    """A `Sink` that keeps what moved and writes it when it is closed; pictures without a figure are left out."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path: Path | None = path
        self._rows: list[tuple[float, Moment]] = []
        self._size = (0, 0)

    def show(self, frame: Frame) -> None:
        """Keep the moment that a picture was drawn from."""
        if frame.motion is None or (self._rows and frame.time_s <= self._rows[-1][0]):
            return  # no figure, or a picture that is repeated
        self._rows.append((frame.time_s, frame.motion))
        self._size = frame.size

    def close(self) -> None:
        """Write the file: `time_s` (N,), `joints` (N, 19, 2) px, `joint_names`, `view` (N,), `blendshapes` (N, 52)."""
        path, self._path = self._path, None
        if path is None:
            return
        unseen = np.full(BLENDSHAPES, np.nan, np.float32)
        times = np.array([time_s for time_s, _ in self._rows])
        moments = [moment for _, moment in self._rows]
        joints = np.array([m.joints for m in moments], np.float32).reshape(-1, len(JOINTS), 2)
        faces = np.array([unseen if m.blendshapes is None else m.blendshapes for m in moments], np.float32)
        try:
            with path.open("wb") as file:
                np.savez_compressed(
                    file,
                    time_s=times - (times[0] if len(times) else 0.0),
                    joints=joints,
                    joint_names=np.array(JOINTS),
                    view=np.array(["whole" if m.whole else "waist up" for m in moments], dtype="U8"),
                    blendshapes=faces.reshape(-1, BLENDSHAPES),
                    size=np.array(self._size),
                )
        except OSError as error:
            raise DeviceError(f"the motion cannot be written to {path} ({error.strerror}): make room there") from error
