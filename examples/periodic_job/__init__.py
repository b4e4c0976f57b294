"""A job that is done again and again: the periodic work of Elixir's GenServer guide."""
