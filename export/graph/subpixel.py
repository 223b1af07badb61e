"""A picture put together from four of half its size, one for each place of a 2 x 2 cell."""

from collections.abc import Sequence

import onnx_ir as ir

from export.graph.surgery import ACTIVATIONS, Patch, only_user

PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Row and column in the cell, in the order in which DepthToSpace (DCR) takes the pictures."""


def following_activation(result: ir.Value) -> ir.Node | None:
    """The activation that alone takes `result`, if there is one: it may be done before the pictures are joined."""
    user = only_user(result)
    return user if user is not None and not user.domain and user.op_type in ACTIVATIONS else None


def interleave(patch: Patch, pictures: Sequence[ir.Value], activation: ir.Node | None) -> ir.Value:
    """Four (N, C, H, W) values, in the order of `PLACES`, as one (N, C, 2H, 2W).

    `activation` is done on each of them first, where runtimes fuse it with the convolution before it.
    """
    if activation is not None:
        given = {name: attribute.value for name, attribute in activation.attributes.items()}
        pictures = [
            patch.node(activation.op_type, [picture], f"active{row}{column}", **given)
            for (row, column), picture in zip(PLACES, pictures, strict=True)
        ]
    together = patch.node("Concat", pictures, "cells", axis=1)
    return patch.node("DepthToSpace", [together], "interleaved", blocksize=2, mode="DCR")
