"""A look into a running cluster from outside: a hidden node, used on the command line."""
