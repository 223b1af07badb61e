"""A virtual camera that is switched on and off while the run goes on."""

import logging
from collections.abc import Callable

from realtime.errors import DeviceError, MasqueradeError
from realtime.frame import Frame
from realtime.output.sink import Sink

log = logging.getLogger(__name__)

OFF = "camera off"


class CameraSwitch:
    """A sink that is a virtual camera while it is switched on.

    `open_camera` opens one and raises MasqueradeError; `camera` is one that is open already. Everything is opened and
    closed by the thread that shows pictures, so `switch` may be called from any. A camera that fails is switched off,
    with a warning, and `lost` gets the error; it can be switched on again.
    """

    def __init__(
        self, open_camera: Callable[[], Sink], camera: Sink | None, lost: Callable[[DeviceError], None]
    ) -> None:
        self._open, self._camera, self._lost = open_camera, camera, lost
        self._wanted = camera is not None
        self.why: str | None = None

    @property
    def name(self) -> str:
        """The camera's name, OFF without one."""
        camera = self._camera
        return camera.name if camera is not None else OFF

    @property
    def on(self) -> bool:
        """True while pictures go out."""
        return self._camera is not None

    def switch(self, on: bool) -> None:
        """On or off from the next picture on. `why` then says what stood in the way, None if nothing did."""
        self.why, self._wanted = None, on

    def show(self, frame: Frame) -> None:
        """Pass the picture on, if the camera is on."""
        if self._wanted != (self._camera is not None):
            self._change()
        if self._camera is None:
            return
        try:
            self._camera.show(frame)
        except DeviceError as error:
            log.warning("%s; the virtual camera is switched off, everything else goes on", error)
            self.why, self._wanted = str(error), False
            self._lost(error)
            self._change()

    def _change(self) -> None:
        if self._camera is not None:
            camera, self._camera = self._camera, None
            camera.close()
            return
        try:
            self._camera = self._open()
        except MasqueradeError as error:
            log.warning("%s", error)
            self.why, self._wanted = str(error), False

    def close(self) -> None:
        """Close the camera. May be called twice."""
        camera, self._camera = self._camera, None
        self._wanted = False
        if camera is not None:
            camera.close()
