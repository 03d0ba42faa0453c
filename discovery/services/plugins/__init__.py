"""Discovery plugins: which there are, what they may be loaded from, and asking them."""
