"""People that do not exist, photographed with Cycles: the built-in picture sets and the avatars' stills."""
