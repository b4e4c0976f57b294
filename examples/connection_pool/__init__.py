"""A pool of connections: lent, waited for in order, never lost."""
