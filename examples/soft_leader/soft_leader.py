"""A worker on every node, of which the one with the smallest pid does the work.

Nobody is asked and nothing is locked: each node looks at its own view of the group. So all
nodes work for themselves while they cannot see each other, and for an instant after a change
there may be two leaders or none. It suits what may be done twice, such as a clean-up or a
refreshed cache. Where that may not be, take ``Global`` names (``examples/leader_election``).
"""

from collections.abc import Callable
from dataclasses import dataclass

from otpy import (
    ChildSpec,
    From,
    GenServer,
    GroupJoin,
    GroupLeave,
    InitResult,
    Next,
    NoReply,
    Ok,
    Pid,
    Ref,
    Reply,
    Request,
    minutes,
    pg,
    process,
    self_pid,
)

GROUP = "soft leader"
EVERY = minutes(1)
Work = Callable[[], None]


class WhoLeads(Request[Pid]):
    """Whom this worker takes for the leader."""


@dataclass
class State:
    work: Work
    monitor: Ref
    leader: Pid


class SoftLeader(GenServer[State]):
    """``(SoftLeader, work)`` calls ``work()`` every minute for as long as it leads."""

    def init(self, work: Work) -> InitResult[State]:
        pg.join(GROUP, self_pid())
        monitor, _ = pg.monitor(GROUP)
        process.send_after(self_pid(), "work", EVERY)
        return Ok(State(work, monitor, smallest()))

    def handle_call(self, request: object, from_: From, state: State) -> Reply[State]:
        return Reply(state.leader)

    def handle_info(self, message: object, state: State) -> Next[State]:
        match message:
            case GroupJoin(state.monitor) | GroupLeave(state.monitor):
                state.leader = smallest()
            case "work":
                process.send_after(self_pid(), "work", EVERY)
                if state.leader == self_pid():
                    state.work()
        return NoReply(state)


def smallest() -> Pid:
    """The leader as this node sees it: the member on the node that started first."""
    return min(pg.get_members(GROUP), default=self_pid())


def children(work: Work) -> list[ChildSpec | tuple[type[SoftLeader], Work]]:
    """The same list on every node.

    Under ``rest_for_one``: a scope that starts anew has forgotten its members, so the worker
    starts anew as well and joins again.
    """
    return [pg.child_spec(), (SoftLeader, work)]
