"""The soft leader: the smallest pid of a process group leads."""
