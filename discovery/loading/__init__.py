"""Load a model for real, in a child process that may crash, hang or be killed.

Run as ``python -m discovery.loading``.

The child reads one ``Job`` on stdin, ties its own hands (``limits``, ``guard``) before anything
heavy is imported, lets one loader try, and writes one ``Outcome``. ``supervise`` is the parent's
side. Knows the engine, and neither Django nor the database.
"""
