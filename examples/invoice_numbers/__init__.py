"""Numbers that are never given twice: a lease, and a store that refuses who comes late."""
