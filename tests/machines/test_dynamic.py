"""The machine of a dynamic supervisor, beside a naive one that knows Elixir's words only."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from otpy.machines.dynamic import Dynamic, Step
from otpy.machines.restart import Child, Shutdown, StartChild
from otpy.terms.pid import Pid
from tests.machines.dynamic_mistakes import MISTAKES
from tests.machines.supervisors import CONFLICT, CRASHES, ORDERLY, TOO_MANY

Event = tuple[Any, ...]


@dataclass(frozen=True)
class Plan:
    """One life of a dynamic supervisor."""

    max_restarts: int
    max_seconds: int
    max_children: int | None
    events: tuple[Event, ...]


@dataclass
class Otp:
    """Elixir's DynamicSupervisor: rows of (pid, restart, "running" or "restarting")."""

    plan: Plan
    rows: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    crashes: list[float] = field(default_factory=list[float])
    again: list[int] = field(default_factory=list[int])
    over: bool = False
    told: list[str] = field(default_factory=list[str])
    number: int = 0

    def start(self, restart: str, outcome: str) -> None:
        if self.plan.max_children is not None and len(self.rows) >= self.plan.max_children:
            self.told.append("full")
        elif outcome == "start":
            self.number += 1
            self.rows[self.number] = (restart, "running")
            self.told.append(f"start {self.number}")
        else:
            self.told.append(outcome)

    def exit(self, pid: int, reason: Any, now: float, outcome: str) -> None:
        restart = self.rows[pid][0]
        if reason == CONFLICT and restart != "temporary":
            self.restart(pid, outcome)
        elif restart == "permanent" or (restart == "transient" and reason not in ORDERLY):
            self.crash(pid, now, outcome)
        else:
            del self.rows[pid]

    def crash(self, pid: int, now: float, outcome: str) -> None:
        self.crashes = [now, *(at for at in self.crashes if now <= at + self.plan.max_seconds)]
        if len(self.crashes) > self.plan.max_restarts:
            del self.rows[pid]
            self.over = True
        else:
            self.restart(pid, outcome)

    def restart(self, pid: int, outcome: str) -> None:
        restart = self.rows[pid][0]
        if outcome == "fail":
            self.rows[pid] = (restart, "restarting")
            self.again.append(pid)
            self.told.append(f"fail {pid}")
            return
        del self.rows[pid]
        if outcome == "ignore":
            self.told.append(f"ignore {pid}")
            return
        self.number += 1
        self.rows[self.number] = (restart, "running")
        self.told.append(f"restart {pid} as {self.number}")

    def retry(self, now: float, outcome: str) -> None:
        pid = self.again.pop(0)
        if self.rows.get(pid, ("", ""))[1] == "restarting":
            self.crash(pid, now, outcome)

    def terminate(self, pid: int) -> None:
        del self.rows[pid]


class Driven:
    """The machine, driven as a dynamic supervisor drives it."""

    def __init__(self, machine: Dynamic) -> None:
        self.machine = machine
        self.again: list[Pid] = []
        self.over = False
        self.told: list[str] = []
        self.number = 0

    @property
    def rows(self) -> dict[int, tuple[str, str]]:
        assert all(child.pid == pid for pid, child in self.machine.children.items())
        return {
            pid.number: (child.restart, "restarting" if child.restarting else "running")
            for pid, child in self.machine.children.items()
        }

    def pid(self) -> Pid:
        self.number += 1
        return named(self.number)

    def start(self, restart: Any, outcome: str) -> None:
        if self.machine.full():
            self.told.append("full")
            return
        child = Child("undefined", restart)
        if outcome == "start":
            self.machine.started(child, self.pid())
            self.told.append(f"start {self.number}")
            return
        if outcome == "ignore":
            self.machine.started(child, None)
        self.told.append(outcome)

    def exit(self, pid: int, reason: Any, now: float, outcome: str) -> None:
        self.perform(self.machine.exited(named(pid), reason, now), outcome)
        if not self.over:
            assert self.machine.exited(named(pid), reason, now) == [], "it cannot end twice"

    def retry(self, now: float, outcome: str) -> None:
        child = self.machine.children.get(self.again.pop(0))
        if child is not None and child.restarting:
            self.perform(self.machine.retry(child, now), outcome)

    def perform(self, steps: list[Step], outcome: str) -> None:
        for step in steps:
            match step:
                case Shutdown(why):
                    assert why == TOO_MANY
                    self.over = True
                case StartChild(child):
                    old = child.pid
                    assert old is not None
                    if outcome == "fail":
                        self.machine.failed(child)
                        self.again.append(old)
                        self.told.append(f"fail {old.number}")
                    elif outcome == "ignore":
                        self.machine.started(child, None)
                        self.told.append(f"ignore {old.number}")
                    else:
                        self.machine.started(child, self.pid())
                        self.told.append(f"restart {old.number} as {self.number}")

    def terminate(self, pid: int) -> None:
        self.machine.forget(self.machine.children[named(pid)])


def named(number: int) -> Pid:
    return Pid(1, "a@127.0.0.1", 7, number)


def happen(to: Otp | Driven, event: Event, now: float) -> None:
    """One event; those that find nobody to happen to do not happen."""
    number: int
    running = [pid for pid, row in to.rows.items() if row[1] == "running"]
    everyone = list(to.rows)
    match event:
        case ("start", restart, outcome):
            to.start(restart, outcome)
        case ("exit", number, reason, outcome) if running:
            to.exit(running[number % len(running)], reason, now, outcome)
        case ("retry", outcome) if to.again:
            to.retry(now, outcome)
        case ("terminate", number) if everyone:
            to.terminate(everyone[number % len(everyone)])
        case _:
            pass


def play(plan: Plan, machine: type[Dynamic] = Dynamic) -> None:
    """Both live through the plan; they must say and be the same after each event."""
    otp = Otp(plan)
    driven = Driven(machine(plan.max_restarts, plan.max_seconds, plan.max_children))
    now = 0.0
    for event in plan.events:
        if event[0] == "wait":
            now += event[1]
            continue
        happen(otp, event, now)
        happen(driven, event, now)
        assert driven.told == otp.told, event
        assert driven.over == otp.over, event
        assert driven.rows == otp.rows, event
        assert [pid.number for pid in driven.again] == otp.again, event
        if otp.over:
            return


def agrees(plan: Plan, machine: type[Dynamic] = Dynamic) -> bool:
    try:
        play(plan, machine)
    except (AssertionError, KeyError):
        return False
    return True


NUMBER = st.integers(0, 5)
RESTART = st.sampled_from(["permanent", "transient", "temporary"])
OUTCOME = st.sampled_from(["start", "start", "fail", "ignore"])
REASON = st.sampled_from([*ORDERLY, *CRASHES, CONFLICT])
EVENT = st.one_of(
    st.tuples(st.just("start"), RESTART, OUTCOME),
    st.tuples(st.just("start"), RESTART, OUTCOME),
    st.tuples(st.just("exit"), NUMBER, REASON, OUTCOME),
    st.tuples(st.just("exit"), NUMBER, REASON, OUTCOME),
    st.tuples(st.just("retry"), OUTCOME),
    st.tuples(st.just("retry"), OUTCOME),
    st.tuples(st.just("terminate"), NUMBER),
    st.tuples(st.just("wait"), st.integers(1, 3)),
)
PLANS = st.builds(
    Plan,
    st.integers(0, 4),
    st.integers(1, 3),
    st.none() | st.integers(0, 4),
    st.lists(EVENT, max_size=20).map(tuple),
)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(PLANS)
def test_it_does_what_elixir_does_whatever_happens(plan: Plan) -> None:
    play(plan)


def test_a_restart_is_not_dearer_when_there_were_many() -> None:
    """Each restart is looked at when it came and when it is forgotten, not in between."""
    machine = Dynamic(1_000_000, 999)
    child = Child("undefined", "permanent")
    machine.started(child, named(1))
    for number in range(2000):
        machine.retry(child, float(number))
    assert len(machine.recent) == 1000


# Seeded mistakes: each is found by the same search.


@pytest.mark.parametrize("broken", MISTAKES)
def test_a_seeded_mistake_is_found(broken: type[Dynamic]) -> None:
    find(
        PLANS,
        lambda plan: agrees(plan) and not agrees(plan, broken),
        settings=settings(
            max_examples=3000, derandomize=True, deadline=None, phases=[Phase.generate]
        ),
    )
