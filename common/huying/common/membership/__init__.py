"""Whose keys count: joining, epochs, and what an operator decides about keys."""
