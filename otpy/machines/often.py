"""What happens too often: a window that slides, and one warning for each of its lengths.

| event                                        | effect                       |
|----------------------------------------------|------------------------------|
| one more than ``limit`` within ``seconds``   | TooOften, and then none for  |
|                                              | as long as the window is     |
| any other                                    | None                         |
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class TooOften:
    """So many within so many seconds; what makes the window full is one of them."""

    count: int
    seconds: float

    @property
    def rate(self) -> float:
        """How many in a second; infinite when all came at one instant."""
        return self.count / self.seconds if self.seconds > 0 else float("inf")


@dataclass(slots=True)
class Often:
    """How often something has happened lately; at most ``limit + 1`` instants are kept."""

    limit: int
    seconds: float
    recent: deque[float] = field(default_factory=deque[float])
    silent_until: float = float("-inf")

    def happened(self, now: float) -> TooOften | None:
        """It has happened once more, at ``now``, in seconds."""
        recent = self.recent
        recent.append(now)
        while recent[0] <= now - self.seconds or len(recent) > self.limit + 1:
            recent.popleft()
        if len(recent) <= self.limit or now < self.silent_until:
            return None
        self.silent_until = now + self.seconds
        return TooOften(len(recent), now - recent[0])
