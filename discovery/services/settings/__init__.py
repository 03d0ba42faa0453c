"""Settings that people change.

The package reads their values and sources, writes them back to the file, keeps their history and
the roots, and applies changes.
"""
