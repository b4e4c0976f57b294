"""Which inputs of an ``async_stream`` are under way, and which result is given next.

Three rules. An input may be taken while fewer than ``max_concurrency`` are under way;
one that has ended makes room at once, whether or not its result has been given. Ordered
results are given in the order of the inputs, others in the order in which they came.
The window is over when the inputs have ended and every result has been given.
"""

from collections import deque
from typing import Any


class Window:
    """The bookkeeping of one stream."""

    __slots__ = ("_came", "_given", "_inputs", "_ordered", "_results", "_room", "_taken", "ended")

    def __init__(self, max_concurrency: int, ordered: bool) -> None:
        self.ended = False  # there are no more inputs
        self._room = max_concurrency
        self._ordered = ordered
        self._taken = 0
        self._given = 0
        self._inputs: dict[int, Any] = {}  # of what is under way
        self._results: dict[int, Any] = {}  # not given yet
        self._came: deque[int] = deque()  # whose they are, in the order in which they came

    @property
    def wants_input(self) -> bool:
        """Whether another input may be taken."""
        return not self.ended and len(self._inputs) < self._room

    @property
    def over(self) -> bool:
        """Whether every result has been given."""
        return self.ended and not self._inputs and not self._results

    def take(self, value: Any) -> int:
        """One more input is under way; its position."""
        position = self._taken
        self._taken += 1
        self._inputs[position] = value
        return position

    def input_of(self, position: int) -> Any:
        """An input under way."""
        return self._inputs[position]

    def finish(self, position: int, result: Any) -> None:
        """An input has its result."""
        del self._inputs[position]
        self._results[position] = result
        if not self._ordered:
            self._came.append(position)

    @property
    def has_result(self) -> bool:
        """Whether a result can be given now."""
        return bool(self._came) if not self._ordered else self._given in self._results

    def give(self) -> Any:
        """The next result."""
        position = self._given if self._ordered else self._came.popleft()
        self._given += 1
        return self._results.pop(position)
