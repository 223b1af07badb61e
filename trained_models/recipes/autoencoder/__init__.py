"""The recipe for swap identities: a shared encoder, one decoder an identity, trained on rendered pairs."""
