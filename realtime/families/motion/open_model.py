"""From a motion bundle to a puppet ready to draw."""

from typing import Any

from realtime.errors import ModelError
from realtime.families.motion.first_order.model import FirstOrderPuppet
from realtime.families.motion.first_order.network import FRAME_FILE, open_motion
from realtime.families.motion.motion_model import MotionModel
from realtime.models.bundle import Bundle

MESH_FILE = "mesh.npz"
"""What a bundle of the mesh kind has, and a First Order Motion Model has not."""


def open_puppet(
    bundle: Bundle, *, provider: str = "auto", precision: str = "auto", threads: int | None = None
) -> MotionModel[Any, Any]:
    """The bundle's networks, loaded and warm. Raises ModelError where they cannot be used; nothing is open then."""
    files = bundle.card.files
    if FRAME_FILE in files:
        network = open_motion(bundle, provider=provider, precision=precision, threads=threads)
        return FirstOrderPuppet(network, needs_face=bundle.card.input.subject == "face")
    if MESH_FILE in files:
        from realtime.families.motion.mesh.model import open_mesh_puppet

        puppet: MotionModel[Any, Any] = open_mesh_puppet(
            bundle, provider=provider, precision=precision, threads=threads
        )
        return puppet
    raise ModelError(
        f"model {bundle.name}: a motion bundle needs {FRAME_FILE} or {MESH_FILE}, and this has neither: export it again"
    )
