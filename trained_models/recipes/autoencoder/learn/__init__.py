"""`masquerade learn`: clips of one person in, an identity to wear out; on the frozen encoder of the packaged one."""
