"""Cases on several engines: what is different, made small and printed to be replayed."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.differential.cases import LONG, Case, Node
from tests.differential.engines import BEAM, Engine, missing
from tests.differential.logs import Entry, beside, canonical

OTPY = ("thread", "green", "sim0", "sim1", "sim2")
ROUNDS = 60  # of shrinking, each in OS processes of their own
Differ = Callable[[list[Case]], list[bool]]


@dataclass
class Difference:
    """A case that two engines play differently."""

    case: Case
    base: str
    base_log: list[Entry]
    kind: str
    log: list[Entry]

    def __str__(self) -> str:
        case = json.dumps(self.case)
        return (
            f"{self.kind} differs from {self.base}; replay:\n"
            f"python -m tests.differential --kinds {self.base},{self.kind} --case '{case}'\n"
            f"{beside(self.base, self.base_log, self.kind, self.log)}"
        )


def engines() -> list[str]:
    """All that can play here; the first is whom the others are compared with."""
    return [*OTPY] if missing() else [BEAM, *OTPY]


def differences(cases: list[Case], kinds: list[str]) -> list[Difference]:
    """What the engines, at work at the same time, play otherwise than the first of them."""
    running = [Engine(kind, cases) for kind in kinds]
    logs = [[canonical(log) for log in engine.results()] for engine in running]
    return [
        Difference(case, kinds[0], logs[0][number], kind, mine[number])
        for kind, mine in zip(kinds[1:], logs[1:], strict=True)
        for number, case in enumerate(cases)
        if mine[number] != logs[0][number]
    ]


def steady(found: Difference) -> bool:
    """Whether it is different again, played alone: not for want of time on a busy machine."""
    return bool(differences([found.case], [found.base, found.kind]))


def shrunk(found: Difference) -> Difference:
    """The same difference with as little tree and script as it takes."""

    def differ(cases: list[Case]) -> list[bool]:
        bad = [id(one.case) for one in differences(cases, [found.base, found.kind])]
        return [id(case) in bad for case in cases]

    small = reduced(found.case, differ)
    again = differences([small], [found.base, found.kind])
    return again[0] if again else found


def reduced(case: Case, differ: Differ) -> Case:
    """The smallest case, step by step, for which ``differ`` still says yes."""
    for _ in range(ROUNDS):
        smaller = list(smaller_cases(case))
        verdicts = differ(smaller)
        if True not in verdicts:
            break
        case = smaller[verdicts.index(True)]
    return case


def smaller_cases(case: Case) -> Iterator[Case]:
    """Each case with one thing less in it; the largest steps first."""
    for places in (_script, _then, _acts, _children):
        for number in range(len(list(places(case)))):
            copy = deepcopy(case)
            place: tuple[Any, Any] = list(places(copy))[number]
            where, index = place
            del where[index]
            yield copy
    for number in range(len(list(_plainer(case)))):
        copy = deepcopy(case)
        node, key, value = list(_plainer(copy))[number]
        node[key] = value
        yield copy


def _script(case: Case) -> Iterator[tuple[list[Any], int]]:
    yield from ((case["script"], index) for index in range(len(case["script"])))


def _acts(case: Case) -> Iterator[tuple[list[Any], int]]:
    for event in case["script"]:
        acts = event.get("acts", [])
        yield from ((acts, index) for index in range(len(acts)))


def nodes(tree: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield tree
    for child in tree.get("children", []):
        yield from nodes(child)


def _children(case: Case) -> Iterator[tuple[list[Any], int]]:
    for node in nodes(case["tree"]):
        children = node.get("children", [])
        yield from ((children, index) for index in range(len(children)))


def _then(case: Case) -> Iterator[tuple[Any, str]]:
    yield from ((event, "then") for event in case["script"] if "then" in event)


PLAIN: dict[str, Any] = {"traps": True, "restart": "permanent", "shutdown": LONG}


def _plainer(case: Case) -> Iterator[tuple[Node, str, Any]]:
    for node in nodes(case["tree"]):
        if node["starts"]:
            yield node, "starts", node["starts"][:-1]
        # Who never stops, or is waited for without end, must remain as it was drawn.
        if node.get("stop") in ("slow", "raise", "other"):
            yield node, "stop", "prompt"
        if node.get("unlinks"):
            yield node, "unlinks", False
        if node["significant"]:
            yield node, "significant", False
        elif node.get("stop") == "prompt":
            for key, value in PLAIN.items():
                if node[key] != value:
                    yield node, key, value
