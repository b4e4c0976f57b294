"""A job runner: one process per job, so many at a time, apart for each user."""
