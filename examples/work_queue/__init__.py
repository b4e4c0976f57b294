"""A queue of work with back-pressure: producers wait while it is full."""
