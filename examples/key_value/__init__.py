"""The key-value store of Elixir's guide: buckets, found by name."""
