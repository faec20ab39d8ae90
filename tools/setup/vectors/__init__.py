"""Published test vectors of the protocol: docs/vectors."""
