"""Looks for faces that leave the program as they came in, on composed and filmed scenes, by pixels alone."""
