"""What changed: every kind of event in one list."""
