"""The proof that everyone else is forgotten: `python -m tests.privacy.forgetting`."""
