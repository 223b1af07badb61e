"""Training pairs: two faces in the same moment."""
