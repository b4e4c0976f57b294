"""Logs of two players, in the one form in which they must be equal.

Everything that has an order keeps it. What has none:

- Of processes that end next to each other in the log one cannot say which was first.
- The children of a supervisor that was killed end at the same time as its parent restarts it: of
  such an orphan, and of all below it, its own entries remain in order.
- A supervisor that did not start may tell its parent before it is gone.
- A dynamic supervisor stops all its children at once: each of them, with all below it, keeps its
  own order, and none has one with its siblings; an entry behind its supervisor's end is marked.
"""

from itertools import groupby
from typing import Any, cast

Entry = list[str]
UNSTARTED = "{shutdown,{failed_to_start_child"


def canonical(log: list[Entry]) -> list[Entry]:
    """The log with everything that has no order sorted, orphans at its end."""
    bosses = {entry[1]: entry[3] for entry in log if entry[0] == "start"}
    killed = _killed(log)
    order: list[Entry] = []
    aside: list[Entry] = []
    for number, entry in enumerate(log):
        if entry[0] in ("stopping", "end") and (
            any(number >= killed.get(one, len(log)) for one in _above(entry[1], bosses))
            or (entry[0] == "end" and entry[2].startswith(UNSTARTED))
        ):
            aside.append(["aside", *entry])
        else:
            order.append(entry)
    aside.sort(key=lambda entry: entry[2])  # stable: each one's own entries stay in order
    lanes = {label: _lane(label, bosses) for label in bosses}
    late = _late(order, bosses)
    told: list[Entry] = []
    for stops, group in groupby(order, key=_is_stop):
        if not stops:
            told += group
            continue
        entries = sorted(group, key=lambda entry: lanes[entry[1]])  # stable
        for (_, ends), own in groupby(entries, key=lambda e: (lanes[e[1]], e[0] == "end")):
            kept = [["late", *entry] if id(entry) in late else entry for entry in own]
            told += sorted(kept) if ends else kept
    return told + aside


def _is_stop(entry: Entry) -> bool:
    return entry[0] in ("stopping", "end")


def _lane(label: str, bosses: dict[str, str]) -> tuple[str, ...]:
    """The children of dynamic supervisors that a process is one of, or is below."""
    downwards = [label, *_above(label, bosses)][::-1]
    return tuple(one for one in downwards if bosses.get(one, "").startswith("d"))


def _late(order: list[Entry], bosses: dict[str, str]) -> set[int]:
    """The ids of entries that stand behind the end of a supervisor above, and something else."""
    ended: dict[str, int] = {}
    late: set[int] = set()
    begin = 0
    for number, entry in enumerate(order):
        if entry[0] != "end":
            begin = number + 1
        else:
            ended[entry[1]] = number
        above = _above(entry[1], bosses) if _is_stop(entry) else []
        if any(ended.get(one, len(order)) < begin for one in above):
            late.add(id(entry))
    return late


def _killed(log: list[Entry]) -> dict[str, int]:
    """Each killed process, and where the entries of ends begin that its own is among."""
    found: dict[str, int] = {}
    begin = 0
    for number, entry in enumerate(log):
        if entry[0] != "end":
            begin = number + 1
        elif entry[2] == "killed":
            found[entry[1]] = begin
    return found


def _above(label: str, bosses: dict[str, str]) -> list[str]:
    above: list[str] = []
    while label := bosses.get(label, ""):
        above.append(label)
    return above


def beside(left: str, one: list[Entry], right: str, other: list[Entry]) -> str:
    """Two logs side by side; lines that differ are marked."""
    ours = [" ".join(entry) for entry in one]
    theirs = [" ".join(entry) for entry in other]
    width = max(map(len, [left, *ours]))
    lines = [f"  {left:<{width}}   {right}"]
    for number in range(max(len(ours), len(theirs))):
        a, b = (side[number] if number < len(side) else "" for side in (ours, theirs))
        lines.append(f"{' ' if a == b else '!'} {a:<{width}} | {b}")
    return "\n".join(lines)


def wire(value: Any) -> Any:
    """JSON that is an Elixir literal too: objects as ``["%", [key, value], ...]``."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return ["%", *([key, wire(item)] for key, item in pairs.items())]
    if isinstance(value, list):
        items = cast("list[Any]", value)  # type: ignore[redundant-cast]  # pyright wants it
        return [wire(item) for item in items]
    return value
