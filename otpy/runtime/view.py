"""Who sees whom: what ``node.view`` gives, put together from what each node said."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, permutations

from otpy.runtime.node import Node
from otpy.runtime.outside import Begin

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sight:
    """What one node says: whether it is hidden, and whom it is connected to, and how."""

    hidden: bool
    visible: list[str]
    concealed: list[str]


Answers = dict[str, Sight | None]  # None: it did not answer


@dataclass(frozen=True, slots=True)
class View:
    """Who sees whom, as each node itself says. ``print`` it for a table.

    ``node`` asked. ``sees`` has each node that answered, with the nodes it is connected to.
    ``silent`` are the connected nodes that did not answer in time, ``hidden`` the hidden nodes.
    """

    node: str
    sees: Mapping[str, frozenset[str]]
    silent: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()

    @property
    def nodes(self) -> list[str]:
        """Every node that was asked or is seen, sorted: also one that this node does not see."""
        return sorted({*self.sees, *self.silent, *self.hidden}.union(*self.sees.values()))

    @property
    def missing(self) -> list[Pair]:
        """The pairs of visible nodes that do not see each other, as far as one of them says so."""
        return [
            (one, other)
            for one, other in combinations(self.nodes, 2)
            if not {one, other} & self.hidden
            and not self._says(one, other, True)
            and not self._says(other, one, True)
            and (one in self.sees or other in self.sees)
        ]

    @property
    def one_way(self) -> list[Pair]:
        """The pairs of which the first sees the second and is not seen by it, as both say.

        While a session begins or ends that may be so for a moment.
        """
        return [
            (one, other)
            for one, other in permutations(self.nodes, 2)
            if self._says(one, other, True) and self._says(other, one, False)
        ]

    @property
    def whole(self) -> bool:
        """Whether all nodes have answered, and each visible one sees each."""
        return not self.silent and not self.missing and not self.one_way

    def _says(self, one: str, other: str, sees: bool) -> bool:
        return one in self.sees and (other in self.sees[one]) is sees

    def __str__(self) -> str:
        """A table with a row for each node, and below it what is amiss."""
        nodes = self.nodes
        width = max(map(len, nodes))
        places = [str(number) for number in range(1, len(nodes) + 1)]
        gap = len(places[-1])
        lines = [f"Who sees whom, as asked by {self.node}", ""]
        lines.append(" ".join([" " * (gap + 1 + width), *(place.rjust(gap) for place in places)]))
        for place, one in zip(places, nodes, strict=True):
            cells = [self._cell(one, other).rjust(gap) for other in nodes]
            row = " ".join([place.rjust(gap), one.ljust(width), *cells])
            lines.append(f"{row}  {self._remark(one)}".rstrip())
        amiss = [
            *(f"{one} and {other} do not see each other" for one, other in self.missing),
            *(f"{one} sees {other}, which does not see it" for one, other in self.one_way),
        ]
        return "\n".join([*lines, *([""] if amiss else []), *amiss])

    def _cell(self, one: str, other: str) -> str:
        if one == other:
            return "."
        if one not in self.sees:
            return "?"
        if other in self.sees[one]:
            return "!" if self._says(other, one, False) else "x"
        return "-" if not {one, other} & self.hidden else " "

    def _remark(self, one: str) -> str:
        if one in self.silent:
            return "did not answer"
        if one not in self.sees:
            return f"not connected to {self.node}"
        return "hidden" if one in self.hidden else ""


def put_together(node: str, answers: Answers) -> View:
    """The view of what all nodes said."""
    said = {name: sight for name, sight in sorted(answers.items()) if sight is not None}
    hidden = {name for name, sight in said.items() if sight.hidden}
    # What a visible node is connected to by a hidden connection is a hidden node.
    hidden.update(*(sight.concealed for sight in said.values() if not sight.hidden))
    return View(
        node,
        {name: frozenset([*sight.visible, *sight.concealed]) for name, sight in said.items()},
        tuple(sorted(name for name, sight in answers.items() if sight is None)),
        frozenset(hidden),
    )


def viewing(node: Node, seconds: float) -> Begin[View]:
    """What ``node.view`` waits for."""
    if (router := node.router) is None:
        return lambda done: done(lambda: View(node.name, {node.name: frozenset()}))
    return lambda done: router.views(
        node.name, seconds, lambda answers: done(lambda: put_together(node.name, answers))
    )
