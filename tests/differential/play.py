"""Plays one case on otpy: a supervision tree, and a script of what happens to it.

What is told is a log of entries, each a list of strings:

| entry                                | when                                                 |
|--------------------------------------|------------------------------------------------------|
| start, label, outcome, boss's label  | a start function is called; extra arguments follow   |
| stopping, label, reason              | ``terminate`` of a worker begins                     |
| end, label, reason                   | a process has ended                                  |
| event, number                        | the next event of the script begins                  |
| answer, text; absent, id             | what it came to                                      |
| tree, label, rows, counts            | the tree is quiet: each supervisor's children        |

A label is the child's id and how often it had been started by then: ``w3#2``. Start functions and
``terminate`` wait until they are in the log, and the log asks itself who has died before it takes
anything: so what one thing caused stands after it. ``beam.exs`` does the same on the BEAM.
"""

from typing import Any

from otpy import dynamic_supervisor, gen_server, process, supervisor, sys
from otpy.runtime._current import current
from otpy.terms.errors import (
    AlreadyStarted,
    BadChildSpec,
    CallExit,
    ChildError,
    Ignored,
    StartError,
)
from otpy.terms.pid import Pid
from tests.differential.tree import (
    Collector,
    Entry,
    GreenCollector,
    World,
    reason_named,
    spec,
    start,
    text_of,
)

PATIENCE = 10.0  # seconds until a tree must be quiet
PAUSE = 0.0005  # seconds between two looks at it
Found = tuple[Pid, str] | None
FAILURES = (AlreadyStarted, StartError, BadChildSpec, ChildError, CallExit)
Rows = list[tuple[Pid, Any, Any]]  # a supervisor, its which_children and count_children


def play(case: Any, green: bool) -> list[Entry]:
    """The log of a case. The caller becomes a process that traps exits, and the tree's parent."""
    process.flag(trap_exit=True)
    collector = gen_server.start(GreenCollector if green else Collector, None)
    world = World(collector, green)
    tree = case["tree"]
    root: Pid | None = None
    try:
        root = start(world, tree, "")
    except Ignored:
        world.note("root", "ignore")
    except StartError as failed:
        world.note("root", "{error," + text_of(failed.reason) + "}")
    end = {"do": "exit", "who": tree["id"], "how": "signal", "reason": "shutdown"}
    try:
        show(world, quiet(world, root))
        for number, event in enumerate([*case["script"], end]):
            world.note("event", str(number))
            results = act(world, event)
            rows = quiet(world, root)
            for result in results:
                world.note("answer", answer(world, result))
            show(world, rows)
    except NeverQuiet as never:
        world.note("never quiet", str(never))
    for pid, label in world.ask("hung"):
        world.note("left", label)
        process.exit(pid, "kill")
    log: list[Entry] = world.ask("log")
    process.exit(collector, "kill")
    return log


# Events.


def act(world: World, event: Any) -> list[Any]:
    """Do one event of the script: what supervisors answered."""
    if event["do"] == "wait":
        process.sleep(event["ms"] / 1000)
        return []
    who = event["who"] if event["do"] == "exit" else event["sup"]
    found: Found = world.ask("find", who)
    if found is None:
        world.note("absent", who)
    elif event["do"] == "exit":
        leave(found[0], event)
    elif event["do"] == "burst":
        return burst(world, *found, event)
    else:
        return [ask(world, *found, event)]
    return []


def leave(pid: Pid, event: Any) -> None:
    """Make a process end, or see that it does not mind."""
    reason = reason_named(event["reason"])
    boss = not event["who"].startswith("w")
    try:
        if event["how"] == "signal":
            process.exit(pid, reason)
        elif boss:
            supervisor.stop(pid, reason)
            return
        else:
            gen_server.cast(pid, reason)
        # From the same process, so behind it: the answer comes when it is settled.
        if boss:
            supervisor.which_children(pid)
        else:
            gen_server.call(pid, "ping", timeout=None)
    except CallExit:
        return


def ask(world: World, pid: Pid, label: str, event: Any) -> Any:
    """Ask a supervisor for something: what it answered or raised."""
    child = event["child"]
    if label.startswith("d"):
        return ask_dynamic(world, pid, label, event)
    try:
        match event["what"]:
            case "terminate_child":
                return supervisor.terminate_child(pid, child)
            case "restart_child":
                return ("child", supervisor.restart_child(pid, child))
            case "delete_child":
                return supervisor.delete_child(pid, child)
            case "start_child":
                return ("child", supervisor.start_child(pid, spec(world, event["node"], label)))
            case "which_children":
                return supervisor.which_children(pid)
            case _:
                return supervisor.count_children(pid)
    except FAILURES as error:
        return error


def ask_dynamic(world: World, pid: Pid, label: str, event: Any) -> Any:
    """The same for a dynamic supervisor, which knows its children by their pids."""
    try:
        match event["what"]:
            case "terminate_child":
                child = world.ask("latest", event["child"]) or world.collector
                return dynamic_supervisor.terminate_child(pid, child)
            case "start_child":
                child = spec(world, event["node"], label)
                return ("child", dynamic_supervisor.start_child(pid, child))
            case "which_children":
                return dynamic_supervisor.which_children(pid)
            case _:
                return dynamic_supervisor.count_children(pid)
    except FAILURES as error:
        return error


def answer(world: World, result: Any) -> str:
    """What came of a request, as both sides write it."""
    labels = world.ask("look")[2]
    match result:
        case None:
            return "ok"
        case ("child", pid):
            return f"ok {labels.get(pid, 'none')}"
        case AlreadyStarted(pid=pid):
            return f"error already_started {labels[pid]}"
        case BadChildSpec(reason=reason):
            return f"error {reason[0]}"
        case CallExit(reason=reason):
            return f"exit {text_of(reason)}"
        case StartError(reason=reason) | ChildError(reason=reason):
            return f"error {text_of(reason)}"
        case list():
            return rows_of(result, labels)
        case _:
            return " ".join(map(str, result))


def rows_of(rows: Any, labels: dict[Pid, str]) -> str:
    """``which_children`` as both sides write it; a dynamic supervisor's rows have no order."""
    told = [
        f"{row.id}={labels[row.pid] if isinstance(row.pid, Pid) else row.pid or 'none'}"
        for row in rows
    ]
    dynamic = any(row.id == dynamic_supervisor.ID for row in rows)
    return " ".join(sorted(told) if dynamic else told)


def burst(world: World, pid: Pid, label: str, event: Any) -> list[Any]:
    """A suspended supervisor finds all of it in its mailbox, in this order."""
    me = process.self_pid()
    sys.suspend(pid, timeout=None)
    waiting: list[int] = []
    for number, one in enumerate(event["acts"]):
        before = queued(pid)
        if one["do"] == "exit":
            found: Found = world.ask("find", one["who"])
            if found is None:
                world.note("absent", one["who"])
                continue
            leave(found[0], one)
            if not process.alive(found[0]):
                until_queued(pid, before + 1)
        else:

            def request(number: int = number, one: Any = one) -> None:
                process.send(me, (number, ask(world, pid, label, one)))

            process.spawn(request, green=world.green)
            waiting.append(number)
            until_queued(pid, before + 1)
    then = event.get("then")
    above: Found = world.ask("find", then["sup"]) if then else None
    answers = [ask(world, *above, then)] if above else []
    try:
        sys.resume(pid, timeout=None)
    except CallExit:
        pass  # it was stopped instead
    return answers + [answered(number) for number in waiting]


def answered(number: int) -> Any:
    """What a helper sent: the result of the request with this number."""
    return process.receive(tuple, where=lambda item: item[0] == number)[1]


def queued(pid: Pid) -> int:
    """How many messages wait for a suspended process."""
    proc = current().node.procs[pid]
    held: Any = getattr(proc.server, "held", None)
    return len(proc.mailbox) + len(held or ())


def until_queued(pid: Pid, count: int) -> None:
    """Look again and again until so many messages wait for a suspended process."""
    while queued(pid) < count:
        process.sleep(PAUSE)


# Quiet.


class NeverQuiet(Exception):
    """The tree goes on and on, or somebody outlives it."""


class Moving(Exception):
    """The tree is not quiet yet."""


def quiet(world: World, root: Pid | None) -> Rows:
    """Wait until every child of every supervisor runs, nobody else does, and nothing happens.

    The rows and counts of each supervisor. Raises ``NeverQuiet``.
    """
    clock = current().node.clock
    deadline = clock.now() + PATIENCE
    while True:
        before = world.ask("look")[0]
        pids: set[Pid] = set()
        lines: Rows = []
        why = "moving"
        try:
            if root is not None and process.alive(root):
                walk(root, pids, lines)
            later, busy, labels = world.ask("look")
            strays = [labels[pid] for pid in busy if pid not in pids]
            if before == later and not strays:
                return lines
            why = " ".join(strays) or why
        except (Moving, CallExit):
            pass
        if clock.now() > deadline:
            raise NeverQuiet(why)
        process.sleep(PAUSE)


def show(world: World, lines: Rows) -> None:
    """Put the children of each supervisor into the log; rows tell their order, if they have one."""
    labels = world.ask("look")[2]
    for pid, rows, counts in sorted(lines, key=lambda line: labels[line[0]]):
        world.note("tree", labels[pid], rows_of(rows, labels), " ".join(map(str, counts)))


def walk(boss: Pid, pids: set[Pid], lines: Rows) -> None:
    """Look at a supervisor and what is below it; ``Moving`` if a child does not run."""
    rows = supervisor.which_children(boss)
    pids.add(boss)
    lines.append((boss, rows, supervisor.count_children(boss)))
    for row in rows:
        if row.pid is None:
            continue
        if row.pid == "restarting" or not process.alive(row.pid):
            raise Moving
        if row.type == "worker":
            pids.add(row.pid)
        else:
            walk(row.pid, pids, lines)
