"""A supervisor twice: as OTP's rules tell it, and as the restart machine decides it.

``Otp`` is a naive simulation that knows OTP's words only: a child is running,
undefined or restarting, a failed start is tried again later, and whatever the
strategy touches is stopped in reverse order and started in order. Where otpy departs
from OTP on purpose (a lost cluster-wide name is no crash), it departs too. ``Driven``
drives the machine as a supervisor does. Both tell what they do in lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat, takewhile
from typing import Any

from otpy.machines.restart import Child, Restarts, Shutdown, StartChild, Step, StopChild
from otpy.terms.pid import Pid

CONFLICT = ("name_conflict", "leader", "winner")
ORDERLY: tuple[Any, ...] = ("normal", "shutdown", ("shutdown", "done"))
CRASHES: tuple[Any, ...] = ("boom", "killed", ("shutdown", 1, 2), "name_conflict")
TOO_MANY, AUTO = "reached_max_restart_intensity", "auto_shutdown"

Event = tuple[Any, ...]


@dataclass(frozen=True)
class Plan:
    """One life of a supervisor: its flags, its children and what happens to them."""

    strategy: Any
    max_restarts: int
    max_seconds: int
    auto_shutdown: Any
    children: tuple[tuple[str, Any, bool], ...]  # id, restart, significant
    events: tuple[Event, ...]


class Otp:
    """What OTP's supervisor does, told as lines such as "stop b", "start a", "fail c"."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.starts: Iterator[str] = repeat("start")
        self.ids: list[str] = []
        self.restart: dict[str, str] = {}
        self.significant: dict[str, bool] = {}
        self.state: dict[str, str] = {}
        self.crashes: list[float] = []  # the newest first
        self.again: list[str] = []
        self.over: str | None = None
        self.told: list[str] = []

    def add(self, name: str, restart: str, significant: bool) -> None:
        self.ids.append(name)
        self.restart[name], self.significant[name] = restart, significant
        self.state[name] = "running"

    def forget(self, name: str) -> None:
        self.ids.remove(name)
        self.state[name] = "undefined"

    def running(self) -> list[str]:
        return [name for name in self.ids if self.state[name] == "running"]

    def exit(self, name: str, reason: Any, now: float) -> None:
        restart = self.restart[name]
        abnormal = reason not in ORDERLY
        self.state[name] = "undefined"
        if reason == CONFLICT and restart != "temporary":
            self.start([name])
        elif restart == "permanent" or (restart == "transient" and abnormal):
            self.crashed(name, now)
        else:
            if restart == "temporary":
                self.forget(name)
            self.ended(name)

    def ended(self, name: str) -> None:
        if not self.significant[name] or self.plan.auto_shutdown == "never":
            return
        # A child that is being restarted has not ended.
        left = [one for one in self.ids if self.significant[one] and self.state[one] != "undefined"]
        if self.plan.auto_shutdown == "any_significant" or not left:
            self.over = AUTO

    def crashed(self, name: str, now: float) -> None:
        oldest = now - self.plan.max_seconds
        self.crashes = [now, *takewhile(lambda at: at >= oldest, self.crashes)]
        if len(self.crashes) > self.plan.max_restarts:
            self.state[name] = "undefined"
            self.over = TOO_MANY
            return
        place = self.ids.index(name)
        whom = {
            "one_for_one": [name],
            "rest_for_one": self.ids[place:],
            "one_for_all": self.ids[:],
        }[self.plan.strategy]
        for one in reversed(whom):
            if self.state[one] == "running":
                self.told.append(f"stop {one}")
            self.state[one] = "undefined"
            if self.restart[one] == "temporary":
                self.forget(one)
        self.start([one for one in whom if self.restart[one] != "temporary"])

    def start(self, names: list[str]) -> None:
        for name in names:
            match next(self.starts):
                case "fail":
                    self.told.append(f"fail {name}")
                    self.state[name] = "restarting"
                    self.again.append(name)
                    return
                case "ignore":
                    self.told.append(f"ignore {name}")
                    self.state[name] = "undefined"
                case _:
                    self.told.append(f"start {name}")
                    self.state[name] = "running"

    def retry(self, now: float) -> None:
        name = self.again.pop(0)
        if name in self.ids and self.state[name] == "restarting":
            self.crashed(name, now)

    def terminate(self, name: str) -> None:
        if self.state[name] == "running":
            self.told.append(f"stop {name}")
        self.state[name] = "undefined"
        if self.restart[name] == "temporary":
            self.forget(name)

    def delete(self, name: str) -> None:
        if self.state[name] == "undefined":
            self.ids.remove(name)

    def revive(self, name: str) -> None:
        if self.state[name] != "undefined":
            return
        match next(self.starts):
            case "fail":
                self.told.append(f"fail {name}")
            case outcome:
                self.told.append(f"{outcome} {name}")
                self.state[name] = "running" if outcome == "start" else "undefined"


@dataclass
class Driven:
    """The machine, driven as a supervisor drives it."""

    machine: Restarts
    starts: Iterator[str] = field(default_factory=lambda: repeat("start"))
    again: list[str] = field(default_factory=list[str])
    over: str | None = None
    told: list[str] = field(default_factory=list[str])
    number: int = 0

    def add(self, name: str, restart: Any, significant: bool) -> None:
        child = Child(name, restart, significant)
        self.machine.add(child)
        self.machine.started(child, self.pid())

    def pid(self) -> Pid:
        self.number += 1
        return Pid(1, "a@127.0.0.1", 7, self.number)

    @property
    def ids(self) -> list[str]:
        return list(self.machine.children)

    def running(self) -> list[str]:
        running = self.machine.running()
        assert {one.pid: one for one in running} == self.machine.by_pid
        return [one.id for one in running]

    def exit(self, name: str, reason: Any, now: float) -> None:
        pid = self.machine.children[name].pid
        assert pid is not None
        self.perform(self.machine.exited(pid, reason, now))
        assert self.machine.exited(pid, reason, now) == [], "it cannot end twice"

    def retry(self, now: float) -> None:
        child = self.machine.children.get(self.again.pop(0))
        if child is not None and child.restarting:
            self.perform(self.machine.retry(child, now))

    def perform(self, steps: list[Step]) -> None:
        for number, step in enumerate(steps):
            match step:
                case Shutdown(why):
                    assert len(steps) == 1
                    self.over = why
                case StopChild(child):
                    assert child.pid is not None
                    self.told.append(f"stop {child.id}")
                    self.machine.stopped(child)
                case StartChild(child):
                    assert child.pid is None, f"{child.id} runs already"
                    if not self.start(child):
                        rest = [s.child for s in steps[number + 1 :] if isinstance(s, StartChild)]
                        self.machine.failed(child, rest)
                        self.again.append(child.id)
                        return

    def start(self, child: Child) -> bool:
        outcome = next(self.starts)
        self.told.append(f"{outcome} {child.id}")
        if outcome != "fail":
            self.machine.started(child, self.pid() if outcome == "start" else None)
        return outcome != "fail"

    def terminate(self, name: str) -> None:
        child = self.machine.children[name]
        if child.pid is not None:
            self.told.append(f"stop {name}")
        self.machine.stopped(child)

    def delete(self, name: str) -> None:
        child = self.machine.children[name]
        if child.pid is None and not child.restarting:
            del self.machine.children[name]

    def revive(self, name: str) -> None:
        child = self.machine.children[name]
        if child.pid is None and not child.restarting:
            self.start(child)


def happen(to: Otp | Driven, event: Event, turn: int, now: float) -> None:
    """One event; those that find nobody to happen to do not happen."""
    number: int
    kind, number, rest = event[0], event[1], event[2:]
    to.starts = chain(rest[-1] if rest else (), repeat("start"))
    match kind:
        case "exit" if to.running():
            to.exit(to.running()[number % len(to.running())], rest[0], now)
        case "retry" if to.again:
            to.retry(now)
        case "terminate" | "delete" | "revive" if to.ids:
            getattr(to, kind)(to.ids[number % len(to.ids)])
        case "add":
            to.add(f"new {turn}", rest[0], False)


def play(plan: Plan, machine: type[Restarts] = Restarts) -> None:
    """Both live through the plan; they must say and be the same after each event."""
    otp = Otp(plan)
    driven = Driven(machine(plan.strategy, plan.max_restarts, plan.max_seconds, plan.auto_shutdown))
    now = 0.0
    for one in plan.children:
        otp.add(*one)
        driven.add(*one)
    for turn, event in enumerate(plan.events):
        if event[0] == "wait":
            now += event[1]
            continue
        happen(otp, event, turn, now)
        happen(driven, event, turn, now)
        assert driven.told == otp.told, event
        assert driven.over == otp.over, event
        assert driven.running() == otp.running(), event
        if otp.over is not None:
            return
        assert driven.ids == otp.ids, event
        assert driven.again == otp.again, event


def agrees(plan: Plan, machine: type[Restarts] = Restarts) -> bool:
    try:
        play(plan, machine)
    except (AssertionError, KeyError, ValueError):
        return False
    return True
