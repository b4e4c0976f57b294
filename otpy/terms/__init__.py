"""Values that processes pass around: pids, references, names, exit reasons, errors (L0)."""
