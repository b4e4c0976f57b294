"""A migration that one node makes while the others wait: a lock, and steps made once."""
