"""A rate limiter: so many requests for each key within a sliding window."""
