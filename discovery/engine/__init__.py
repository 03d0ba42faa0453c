"""Paths and bytes in, frozen values out: usable without Django.

Importing it registers the weight-file formats.
"""

from discovery.engine import formats as formats
