"""External registries: what they offer, and how local models and theirs belong together."""
