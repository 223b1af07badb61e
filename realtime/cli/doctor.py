"""What this machine has, and how to mend what it lacks."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from realtime.errors import MasqueradeError, pip_install


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what, whether it is well, and how to mend it if not."""

    what: str
    well: bool
    mend: str = ""


def checks() -> Iterator[Check]:
    """Every check, one after another, so that a slow one does not hide the others."""
    from realtime.audio.sound_devices import sound_checks

    yield Check(f"Python {sys.version.split()[0]}", sys.version_info >= (3, 11), "install Python 3.11 or newer")
    yield from _models()
    yield _try("user folder", _user_folder)
    yield _try("inference", _inference)
    yield _cameras()
    yield _virtual_camera()
    yield from (Check(what, mend is None, mend or "") for what, mend in sound_checks())


def _try(what: str, look: Callable[[], str]) -> Check:
    """A check whose failure is an error's own text."""
    try:
        return Check(f"{what}: {look()}", True)
    except (MasqueradeError, OSError) as error:
        return Check(what, False, str(error))


def _models() -> Iterator[Check]:
    from realtime.models.library import AVATARS, BUNDLES, Broken

    bundles = BUNDLES.entries()
    if not bundles:
        yield Check("models", False, "the built-in models are missing: install masquerade again")
    for bundle in bundles:
        reason = bundle.reason if isinstance(bundle, Broken) else ""
        yield Check(f"model {bundle.name}", not reason, reason)
    for avatar in AVATARS.entries():  # they can be many, and a library without any is well
        if isinstance(avatar, Broken):
            yield Check(f"avatar {avatar.folder.name}", False, avatar.reason)


def _user_folder() -> str:
    from realtime.models.library import BUNDLES

    folder = BUNDLES.own
    above = folder
    while not os.path.lexists(above):
        above = above.parent
    if not os.path.isdir(above) or not os.access(above, os.W_OK):
        raise OSError(f"{above} is no folder that can be written: change its rights or set MASQUERADE_HOME")
    return str(folder)


def _inference() -> str:
    from realtime.inference.session import report
    from realtime.models.library import face_folder
    from realtime.tracking.tracker import Tracker

    with closing(Tracker(face_folder())) as tracker:
        return report(tracker.sessions).provider


def _cameras() -> Check:
    from realtime.capture.devices import offered

    found = offered()
    names = ", ".join(camera.name for camera in found)
    return Check(
        f"camera: {names}" if found else "camera",
        bool(found),
        "none found: plug one in, close programs that use it, or use --source FILE",
    )


def _virtual_camera() -> Check:
    from realtime.output.virtual_camera import find_virtual_camera, how_to_get_one

    if importlib.util.find_spec("pyvirtualcam") is None:
        return Check("virtual camera", False, pip_install("camera"))
    found = find_virtual_camera()
    return Check(f"virtual camera: {found}" if found else "virtual camera", found is not None, how_to_get_one())


def device_lines() -> Iterator[str]:
    """`masquerade devices`, line by line."""
    from realtime.audio.sound_devices import microphone_lines
    from realtime.capture.devices import offered
    from realtime.inference.providers import available_providers
    from realtime.output.virtual_camera import find_virtual_camera, how_to_get_one

    yield "cameras:"
    found = offered()
    for camera in found:
        yield f"  {camera.address}  {camera.name}"
        yield from (f"      offers {mode}" for mode in camera.modes)
        yield f"      {_measured(camera.address)}"
    if not found:
        yield "  none"
    yield "virtual cameras:"
    virtual = find_virtual_camera()
    yield f"  {virtual}" if virtual else f"  none: {how_to_get_one()}"
    yield "microphones:"
    yield from (f"  {line}" for line in microphone_lines())
    yield "providers:"
    for name, note in available_providers().items():
        yield f"  {name}: {note}"


def _measured(address: str) -> str:
    """What a camera really sends when opened with its own wishes, watched for a second."""
    from realtime.capture.devices import delivered, open_camera
    from realtime.capture.webcam import CameraRequest

    try:
        camera = open_camera(CameraRequest(address))
    except MasqueradeError as error:
        return f"can't be opened now: {error}"
    try:
        mode = delivered(camera)
    except MasqueradeError as error:
        return f"sends nothing: {error}"
    finally:
        camera.close()
    return f"really sends {mode}" if mode else "sends nothing: covered, or used by another program?"
