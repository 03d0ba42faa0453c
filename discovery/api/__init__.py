"""The HTTP API (contract, section 4): one file a resource, its schemas beside it.

Everything that writes is in the services.
"""
