"""A module for each kind of registry."""
