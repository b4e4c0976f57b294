"""Plays one case on otpy: a supervision tree, and a script of what happens to it.

What is told is a log of entries, each a list of strings:

| entry                                | when                                                 |
|--------------------------------------|------------------------------------------------------|
| start, label, outcome, boss's label  | a start function is called                           |
| stopping, label, reason              | ``terminate`` of a worker begins                     |
| end, label, reason                   | a process has ended                                  |
| event, number                        | the next event of the script begins                  |
| answer, text; absent, id             | what it came to                                      |
| tree, label, rows, counts            | the tree is quiet: each supervisor's children        |

A label is the child's id and how often it had been started by then: ``w3#2``. Start functions and
``terminate`` wait until they are in the log, and the log asks itself who has died before it takes
anything: so what one thing caused stands after it. ``beam.exs`` does the same on the BEAM.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from otpy import ChildSpec, GenServer, Ok, Reply, gen_server, process, supervisor, sys
from otpy.behaviours.results import IGNORE, Stop
from otpy.runtime._current import current
from otpy.terms.errors import (
    AlreadyStarted,
    BadChildSpec,
    CallExit,
    ChildError,
    Ignored,
    StartError,
)
from otpy.terms.messages import Down
from otpy.terms.pid import Pid
from otpy.terms.reasons import Crash

PATIENCE = 10.0  # seconds until a tree must be quiet
PAUSE = 0.0005  # seconds between two looks at it
Entry = list[str]
Found = tuple[Pid, str] | None
Rows = list[tuple[Pid, Any, Any]]  # a supervisor, its which_children and count_children


def text_of(value: Any) -> str:
    """A reason as both sides write it."""
    if isinstance(value, Crash):
        return "raised"
    if isinstance(value, Pid):
        return "pid"
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, tuple):
        items: tuple[Any, ...] = value
        return "{" + ",".join(text_of(item) for item in items) + "}"
    return str(value)


def reason_named(name: str) -> Any:
    """The reason that a case writes as ``name``."""
    return ("shutdown", "x") if name == "shutdown_x" else name


@dataclass
class Book:
    """What the collector knows."""

    log: list[Entry] = field(default_factory=list[Entry])
    incarnations: dict[str, int] = field(default_factory=dict[str, int])
    living: dict[Pid, str] = field(default_factory=dict[Pid, str])
    hung: set[Pid] = field(default_factory=set[Pid])
    labels: dict[Pid, str] = field(default_factory=dict[Pid, str])
    latest: dict[str, tuple[Pid, str]] = field(default_factory=dict[str, tuple[Pid, str]])

    def ended(self, pid: Pid, reason: Any) -> None:
        """A process has ended."""
        self.hung.discard(pid)
        self.log.append(["end", self.living.pop(pid), text_of(reason)])


class Collector(GenServer[Book]):
    """Keeps the log of one case."""

    def init(self, arg: Any) -> Any:
        return Ok(Book())

    def handle_info(self, message: Any, state: Book) -> None:
        if isinstance(message, Down) and message.pid in state.living:
            state.ended(message.pid, message.reason)

    def handle_call(self, request: Any, from_: Any, state: Book) -> Any:
        for pid in list(state.living):
            if not process.alive(pid):
                down = process.receive(Down, where=lambda item, pid=pid: item.pid == pid)
                state.ended(pid, down.reason)
        return Reply(self._answer(request, state))

    def _answer(self, request: Any, book: Book) -> Any:
        match request:
            case ("begin", name, starts, boss):
                number = book.incarnations.get(name, 0) + 1
                book.incarnations[name] = number
                outcome = starts[number - 1] if number <= len(starts) else "ok"
                book.log.append(["start", f"{name}#{number}", outcome, boss])
                return f"{name}#{number}", outcome
            case ("up", name, label, pid, alone):
                process.monitor(pid)
                book.living[pid] = book.labels[pid] = label
                book.latest[name] = pid, label
                if alone:
                    book.hung.add(pid)
            case ("stopping", label, reason, pid, hangs):
                book.log.append(["stopping", label, text_of(reason)])
                if hangs:
                    book.hung.add(pid)
            case ("note", entry):
                book.log.append(entry)
            case ("find", name):
                pid, label = book.latest.get(name, (None, ""))
                return (pid, label) if pid in book.living and pid not in book.hung else None
            case ("look",):
                busy = [pid for pid in book.living if pid not in book.hung]
                return len(book.log), busy, dict(book.labels)
            case ("hung",):
                return [(pid, label) for pid, label in book.living.items() if pid in book.hung]
            case _:
                return book.log
        return None


class GreenCollector(Collector, green=True):
    """The same, green."""


@dataclass(frozen=True)
class World:
    """Where a case is played."""

    collector: Pid
    green: bool

    def ask(self, *request: Any) -> Any:
        """Ask the collector."""
        answer: Any = gen_server.call(self.collector, request, timeout=None)
        return answer

    def note(self, *entry: str) -> None:
        """An entry of the log."""
        self.ask("note", list(entry))


class Worker(GenServer[Any]):
    """A child that starts and stops as its node says."""

    def init(self, arg: Any) -> Any:
        world, node, label, outcome, boss = arg
        if node["traps"]:
            process.flag(trap_exit=True)
        match outcome:
            case "error":
                return Stop("refused")
            case "ignore":
                return IGNORE
            case "exit":
                process.exit("gone")
            case "bad":
                return "junk"
            case "raise":
                raise RuntimeError("in init")
            case _:
                if node["unlinks"]:
                    process.unlink(boss)
                world.ask("up", node["id"], label, process.self_pid(), node["unlinks"])
        return Ok((world, node, label))

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        return Reply("pong")

    def handle_cast(self, request: Any, state: Any) -> Any:
        if request == "raise":
            raise RuntimeError("told to")
        return Stop(request, state)

    def handle_info(self, message: Any, state: Any) -> None:
        """Signals that it traps."""

    def terminate(self, reason: Any, state: Any) -> None:
        world, node, label = state
        stop = node["stop"]
        world.ask("stopping", label, reason, process.self_pid(), stop == "never")
        match stop:
            case "slow":
                process.sleep(0.02)
            case "never":
                process.sleep(float("inf"))
            case "raise":
                raise RuntimeError("in terminate")
            case "other":
                process.exit("other")
            case _:
                pass


class GreenWorker(Worker, green=True):
    """The same, green."""


class Boss(supervisor.Supervisor):
    """A supervisor that its node describes."""

    def init(self, arg: Any) -> Any:
        world, node, label, outcome, _ = arg
        match outcome:
            case "ignore":
                return IGNORE
            case "bad":
                return "junk"
            case "raise":
                raise RuntimeError("in init")
            case _:
                world.ask("up", node["id"], label, process.self_pid(), False)
        return supervisor.init(
            [spec(world, child, label) for child in node["children"]],
            strategy=node["strategy"],
            max_restarts=node["intensity"],
            max_seconds=float(node["period"]),
            auto_shutdown=node["auto"],
        )


def spec(world: World, node: Any, boss: str) -> ChildSpec:
    """The child specification of a node."""
    shutdown = node["shutdown"]
    return ChildSpec(
        id=node["id"],
        start=(start, (world, node, boss)),
        restart=node["restart"],
        shutdown=shutdown if isinstance(shutdown, str) else shutdown / 1000,
        type=node["kind"],
        significant=node["significant"],
    )


def start(world: World, node: Any, boss: str) -> Any:
    """The start function of every node."""
    label, outcome = world.ask("begin", node["id"], node["starts"], boss)
    arg = (world, node, label, outcome, process.self_pid())
    match outcome:
        case "start_raise":
            raise RuntimeError("in start")
        case "start_error":
            raise StartError("refused")
        case "start_bad":
            return "junk"
        case _:
            pass
    if node["kind"] == "worker":
        return gen_server.start_link(GreenWorker if world.green else Worker, arg)
    return supervisor.start_link(Boss, arg, green=world.green)


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
    boss = event["who"].startswith("s")
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
    except (AlreadyStarted, StartError, BadChildSpec, ChildError, CallExit) as error:
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
    """``which_children`` as both sides write it."""
    return " ".join(
        f"{row.id}={labels[row.pid] if isinstance(row.pid, Pid) else row.pid or 'none'}"
        for row in rows
    )


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
                until(lambda before=before: queued(pid) > before)
        else:

            def request(number: int = number, one: Any = one) -> None:
                process.send(me, (number, ask(world, pid, label, one)))

            process.spawn(request, green=world.green)
            waiting.append(number)
            until(lambda before=before: queued(pid) > before)
    then = event.get("then")
    above: Found = world.ask("find", then["sup"]) if then else None
    answers = [ask(world, *above, then)] if above else []
    try:
        sys.resume(pid, timeout=None)
    except CallExit:
        pass  # it was stopped instead
    return answers + [
        process.receive(tuple, where=lambda item, number=number: item[0] == number)[1]
        for number in waiting
    ]


def queued(pid: Pid) -> int:
    """How many messages wait for a suspended process."""
    proc = current().node.procs[pid]
    held: Any = getattr(proc.server, "held", None)
    return len(proc.mailbox) + len(held or ())


def until(probe: Callable[[], bool]) -> None:
    """Look again and again until it is so."""
    while not probe():
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
    """Put the children of each supervisor into the log."""
    labels = world.ask("look")[2]
    for pid, rows, counts in lines:
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
