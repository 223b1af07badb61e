"""From a motion bundle to a puppet ready to draw."""

from typing import Any

from realtime.bundle import Bundle
from realtime.errors import ModelError
from realtime.swap.first_order_puppet import FirstOrderPuppet
from realtime.swap.motion_network import FRAME_FILE, open_motion
from realtime.swap.puppet import Puppet

MESH_FILE = "mesh.npz"
"""What a bundle of the mesh kind has, and a First Order Motion Model has not."""


def open_puppet(
    bundle: Bundle, *, provider: str = "auto", precision: str = "auto", threads: int | None = None
) -> Puppet[Any, Any]:
    """The bundle's networks, loaded and warm. Raises ModelError where they cannot be used; nothing is open then."""
    files = bundle.card.files
    if FRAME_FILE in files:
        network = open_motion(bundle, provider=provider, precision=precision, threads=threads)
        return FirstOrderPuppet(network, needs_face=bundle.card.input.subject == "face")
    if MESH_FILE in files:
        from realtime.swap.mesh_puppet import open_mesh_puppet

        puppet: Puppet[Any, Any] = open_mesh_puppet(bundle, provider=provider, precision=precision, threads=threads)
        return puppet
    raise ModelError(
        f"model {bundle.name}: a motion bundle needs {FRAME_FILE} or {MESH_FILE}, and this has neither: export it again"
    )
