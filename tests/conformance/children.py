"""Children and small helpers for the tests of supervisors."""

from typing import Any

from otpy import (
    ChildSpec,
    Down,
    GenServer,
    NoReply,
    Ok,
    Pid,
    Stop,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from tests.conformance.conftest import Runner


class Child(GenServer[Any]):
    """Tells ``arg[0]`` when it starts and stops."""

    @classmethod
    def start_link(cls, arg: Any) -> Pid:
        return gen_server.start_link(cls, arg)

    def init(self, arg: Any) -> Any:
        to, name = arg[0], arg[1]
        process.flag(trap_exit=True)
        if len(arg) > 2:
            result = arg[2]()
            if result is not None:
                return result
        process.send(to, ("start", name, self_pid()))
        return Ok((to, name))

    def handle_cast(self, request: Any, state: Any) -> Any:
        return Stop(request, state)

    def handle_info(self, message: Any, state: Any) -> Any:
        return NoReply()

    def terminate(self, reason: Any, state: Any) -> None:
        process.send(state[0], ("stop", state[1], reason))


class GreenChild(Child, green=True):
    """The same, green."""


def specs(run: Runner, names: str = "abc", **options: Any) -> list[ChildSpec]:
    cls = GreenChild if run.green else Child
    me = self_pid()
    return [supervisor.child_spec((cls, (me, name)), id=name, **options) for name in names]


def told(count: int) -> list[Any]:
    return [process.receive(tuple, timeout=5) for _ in range(count)]


def short(events: list[Any]) -> list[str]:
    return [f"{event[0]} {event[1]}" for event in events]


def pids(boss: Any) -> dict[str, Any]:
    return {row.id: row.pid for row in supervisor.which_children(boss)}


def down(ref: Any) -> Any:
    return process.receive(Down, where=lambda d: d.ref == ref, timeout=5).reason


def start(run: Runner, children: list[Any], strategy: Any = "one_for_one", **options: Any) -> Any:
    boss = supervisor.start_link(children, strategy=strategy, **options)
    told(len(children))
    return boss


def gated(run: Runner, name: str, gate: Any, **options: Any) -> ChildSpec:
    """A child whose ``init`` asks ``gate()`` first: None lets it start."""
    cls = GreenChild if run.green else Child
    return supervisor.child_spec((cls, (self_pid(), name, gate)), id=name, **options)


class Door:
    """A gate that is open or not, and knows how often it was asked."""

    def __init__(self) -> None:
        self.open = True
        self.shut_at: set[int] = set()
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        return None if self.open and self.asked not in self.shut_at else Stop("shut")
