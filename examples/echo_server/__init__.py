"""The TCP server of Elixir's guide: an acceptor, and a task for each connection."""
