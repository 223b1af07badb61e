"""`masquerade learn`: chooses the key pictures of an identity from clips of one person."""
