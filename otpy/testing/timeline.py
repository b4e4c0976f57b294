"""The picture of a simulated run: a Mermaid gantt of faults, nodes, sessions and leaders."""

from collections.abc import Iterator, Sequence
from typing import Any, assert_never

from otpy.testing.faults import Break, ClockSkew, Crash, Fault, OneWay, Partition, Pause
from otpy.testing.history import Event

Open = dict[tuple[str, str, str], tuple[str, float]]  # by section, node and what it sees
Bar = tuple[str, str, float, float, str]  # section, text, from, to (seconds), marks
Undone = tuple[str, str]  # what ends, and on which node
SEEN = ("up", "down", "session", "session_end", "holder")
HELD = {"partition": "cut", "pause": "pause", "kill": "crash", "skew": "skew"}  # begun by hand
UNDOES = {"heal": "cut", "resume": "pause", "down": "pause", "up": "crash", "skew": "skew"}


def timeline(events: Sequence[Event], title: str, began: float, ended: float) -> str:
    """Markdown with the picture, and the events as text; ``began`` is second 0."""
    sections: dict[str, list[tuple[str, int, str]]] = {}
    for section, text, start, stop, marks in _bars(events, ended):
        first = max(0, round((start - began) * 1000))
        last = max(first, round((stop - began) * 1000))
        line = f"    {_plain(text)} :{marks}{first}, {last}"
        row = "" if section in ("faults", "notes") else text  # those stand by time alone
        sections.setdefault(section, []).append((row, first, line))
    lines = ["gantt", f"    title {_plain(title)}", "    dateFormat x", "    axisFormat %M:%S.%L"]
    for section in sorted(sections, key=_place):
        lines.append(f"    section {_plain(section)}")
        lines += [line for *_, line in sorted(sections[section])]
    log = [f"{event.instant - began:12.6f} {str(event).partition(' ')[2]}" for event in events]
    return "\n".join(
        [f"# {title}", "", "```mermaid", *lines, "```", "", "```text", *log, "```", ""]
    )


def _place(section: str) -> tuple[int, str]:
    order = ("faults", "notes", "nodes", "sessions")
    return (order.index(section) if section in order else len(order), section)


def _bars(events: Sequence[Event], ended: float) -> Iterator[Bar]:
    """What lasted, each as one bar; what has not ended lasts until the run ends."""
    yield from _faults(events, ended)
    open_: Open = {}
    for event in events:
        kind, now = event.kind, event.instant
        if kind == "note":
            yield "notes", str(event.what), now, now, "milestone, "
        elif kind in SEEN:
            section, text = _row(event)
            before = open_.pop((section, event.node, str(event.what)), None)
            if before is not None:
                yield section, before[0], before[1], now, ""
            if kind == "down":
                yield from _closed(open_, event.node, now)
            if kind in ("up", "session") or (kind == "holder" and event.detail is not None):
                open_[section, event.node, str(event.what)] = (text, now)
    for (section, *_), (text, start) in open_.items():
        yield section, text, start, ended, ""


def _faults(events: Sequence[Event], ended: float) -> Iterator[Bar]:
    """Faults, drawn and made by hand: each until its time is over, or what undoes it comes."""
    open_: list[tuple[Undone, str, float, float]] = []  # and the text, from, to
    for event in events:
        now, begun = event.instant, _begun(event, ended)
        over = [(UNDOES[event.kind], event.node)] if event.kind in UNDOES else []
        if begun is not None and begun[0][0] == "skew":
            over = [begun[0]]  # the last one counts
        for bar in [bar for bar in open_ if bar[0] in over]:
            open_.remove(bar)
            yield "faults", bar[1], bar[2], min(bar[3], now), "crit, "
        # Who is paused is not paused once more by hand.
        if begun is not None and not (
            event.kind == "pause" and any(bar[0] == begun[0] and bar[3] > now for bar in open_)
        ):
            open_.append(begun)
    for _, text, start, stop in open_:
        yield "faults", text, start, min(stop, ended), "crit, "


def _begun(event: Event, ended: float) -> tuple[Undone, str, float, float] | None:
    """The fault that begins with an event: what it is to be undone, its text, from and to."""
    now = event.instant
    if event.kind == "fault":
        return _undone(event.what), str(event.what), now, now + event.detail
    if event.kind not in HELD or (event.kind, event.what) == ("skew", 1.0):
        return None
    undone = (HELD[event.kind], event.node)
    if event.kind == "partition":
        said = f"{', '.join(event.what)} from {', '.join(event.detail)}"
    else:
        said = event.node if event.what is None else f"{event.node} {event.what}"
    return undone, f"{event.kind} {said}", now, ended


def _undone(fault: Fault) -> Undone:
    """What ends a fault before its time, and on which node."""
    match fault:
        case Partition() | OneWay() | Break():
            return ("cut", "")
        case Pause(node):
            return ("pause", node)
        case Crash(node):
            return ("crash", node)
        case ClockSkew(node):
            return ("skew", node)
        case _:
            assert_never(fault)


def _closed(open_: Open, node: str, now: float) -> Iterator[Bar]:
    """What a node saw ends with it."""
    for key in [key for key in open_ if key[1] == node]:
        text, start = open_.pop(key)
        yield key[0], text, start, now, ""


def _row(event: Event) -> tuple[str, str]:
    if event.kind in ("up", "down"):
        return "nodes", event.node
    if event.kind in ("session", "session_end"):
        return "sessions", f"{event.node} sees {event.what}"
    return f"holder of {event.what}", f"{event.node} sees {_short(event.detail)}"


def _short(pid: Any) -> str:
    return f"{pid.node} {pid.number}" if pid is not None else "nobody"


def _plain(text: str) -> str:
    """Without what means something to Mermaid."""
    return "".join(" " if char in ":;#\n`" else char for char in text)
