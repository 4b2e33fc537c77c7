"""Sockets and streams: by which credential they were let in, and the registry that ends them when it is revoked."""
