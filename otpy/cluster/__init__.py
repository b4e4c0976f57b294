"""The cluster's algorithms at work: one process around each machine (L5)."""
