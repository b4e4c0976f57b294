"""One node's processes: mailboxes, signals, timers, names, executors (L2)."""
