"""A session per user: started on first use, gone when idle."""
