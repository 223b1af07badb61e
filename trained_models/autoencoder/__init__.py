"""The swap network, its data and its training, for the recipe of the trained identities."""
