"""A database for the tests of the pool: it knows who is connected, and can be out of reach."""

from typing import Any

ENOUGH = 100  # attempts: then it is in reach again, or who tries without a pause would never end


class Database:
    """What is connected to."""

    def __init__(self) -> None:
        self.reachable = True
        self.attempts = 0
        self.connected: set[Link] = set()

    def connect(self) -> "Link":
        """A new connection. Raises ``ConnectionError``."""
        self.attempts += 1
        if not self.reachable and self.attempts < ENOUGH:
            raise ConnectionError("the database is out of reach")
        return Link(self)


class Link:
    """A connection, until it is closed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.connected.add(self)

    def double(self, number: int) -> int:
        """What the database can do."""
        return 2 * number

    def reset(self) -> Any:
        """Raises ``ConnectionError``, as a broken connection does."""
        raise ConnectionError("reset by peer")

    def close(self) -> None:
        """Raises ``KeyError`` the second time."""
        self.database.connected.remove(self)
