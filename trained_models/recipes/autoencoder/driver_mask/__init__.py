"""Where the driver's own face shows: the network, what it learns from, and its training."""
