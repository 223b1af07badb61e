"""A learnt identity's lips made to part as far as Ada's do: told the same, some faces part theirs less."""

from pathlib import Path

from trained_models.recipes.autoencoder.check import check
from trained_models.recipes.autoencoder.network import SwapNetwork

FOLLOWED = 1.22
"""What is read so of Ada on the packaged driver: her lips part 0.98 times as far as the driver's over eleven of them
(`masquerade bench quality`). Here every fifth frame is read, and the driver's readings are steadied."""
SURE_R = 0.7
"""Lips that follow worse tell nothing of how far they would part."""
LEAST, MOST = 0.8, 1.4


def part_lips(network: SwapNetwork, clip: Path, step: int = 5) -> float:
    """Wear `network` over a clip, read its lips back, and have it take lips for as much farther apart as they lack.

    Returns that factor: `LEAST` to `MOST`, and 1 where lips hardly follow.
    """
    _, r, gain = check(network, clip, step=step).lips
    if not r > SURE_R:
        return 1.0
    factor = min(max(FOLLOWED / gain, LEAST), MOST)
    network.decoder.condition.take_lips_as(factor)
    return factor
