"""`masquerade learn`: learns an identity from clips of one person, behind the packaged one's frozen encoder."""
