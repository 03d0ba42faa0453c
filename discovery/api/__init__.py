"""The HTTP API (contract, section 4): one file for each resource, next to its schemas.

Everything that writes is in the services.
"""
