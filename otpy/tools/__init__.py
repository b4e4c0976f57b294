"""The command line (L6)."""
