"""The leader worker: the same child on every node, alive on one."""
