"""Pure state machines: no clock, dice, threads or sockets (L1)."""
