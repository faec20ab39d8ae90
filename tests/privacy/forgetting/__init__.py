"""The proof that everyone else is forgotten: `python -m tests.privacy.forgetting`."""

# Before NumPy is loaded: with as many threads as in the program, products are the same to the bit.
import device  # noqa: F401
