"""The architectures of the three families, loadable from upstream checkpoints name for name."""
