"""A pool of connections: lent, waited for in line, never lost."""
