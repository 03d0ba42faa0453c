"""Settings that people change: what is in force and where it comes from, writing it back to its
file, its history, the roots, and what follows from a change.
"""
