"""How the built-in lip-sync model is made: see README.md."""
