"""The swap network, its data and its training: what `masquerade learn` and the recipe share."""
