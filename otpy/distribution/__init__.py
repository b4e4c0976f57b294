"""Nodes that reach each other: codec, transport, mesh (L4)."""
