"""To whom a node may connect by itself: ``kernel``'s ``dist_auto_connect``.

Rules. What a node does by itself is to dial whom it finds or is told of, whom it lost, and
whomever something is sent to. It always answers who dials it, and it always may dial whom it is
asked to connect to, until that attempt is given up or the session that came of it has ended.

| how      | by itself it connects                                           |
|----------|-----------------------------------------------------------------|
| "always" | to every node                                                   |
| "once"   | to a node with which it has had no session that ended           |
| "never"  | to nobody                                                       |
"""

from dataclasses import dataclass, field
from typing import Literal

AutoConnect = Literal["always", "once", "never"]


@dataclass(slots=True)
class AutoConnecting:
    """The rule of one node, by the names of the others."""

    how: AutoConnect = "always"
    asked: dict[str, None] = field(default_factory=dict[str, None])
    barred: dict[str, None] = field(default_factory=dict[str, None])

    def may(self, name: str) -> bool:
        """Whether a node may be dialed."""
        if self.how == "always" or name in self.asked:
            return True
        return self.how == "once" and name not in self.barred

    def ask(self, name: str) -> None:
        """The node is told to connect to another one."""
        self.asked[name] = None

    def give_up(self, name: str) -> None:
        """That has taken too long."""
        self.asked.pop(name, None)

    def down(self, name: str) -> None:
        """A session has ended that was up."""
        self.asked.pop(name, None)
        if self.how == "once":
            self.barred[name] = None
