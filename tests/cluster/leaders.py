"""A leader by lease on real nodes, and what the tests ask about it."""

from typing import Any

from otpy import (
    GenServer,
    Global,
    Node,
    Ok,
    Pid,
    Reply,
    gen_server,
    global_,
    process,
    self_pid,
    supervisor,
)
from otpy.cluster.lease import Leases
from otpy.testing import eventually

LEASE = 1.0
NODES = [f"{short}@127.0.0.1" for short in "abc"]
LEADER = Global("leader", quorum=NODES)


class Leader(GenServer[Any], green=True):
    """Gives its lease."""

    @classmethod
    def start_link(cls, name: Global) -> Pid:
        return gen_server.start_link(cls, name, name=name)

    def init(self, arg: Global) -> Ok[Any]:
        return Ok(global_.lease(arg.name))

    def handle_call(self, request: Any, from_: Any, state: Any) -> Reply[Any]:
        if request == "valid":
            return Reply(state.valid())
        return Reply((self_pid(), state.token))


class OnThread(Leader):
    pass


class Async(Leader):
    async def init(self, arg: Global) -> Ok[Any]:  # type: ignore[override]
        return Ok(global_.lease(arg.name))


def supervised(node: Node, module: Any = Leader, name: Global = LEADER) -> None:
    """The same child on each node; nothing counted as a restart may happen to it."""

    def boss() -> None:
        supervisor.start_link([(module, name)], strategy="one_for_one", max_restarts=0, name="sup")
        process.sleep(float("inf"))

    with node.attached():
        process.spawn(boss)
        eventually(lambda: process.whereis("sup") and supervisor.which_children("sup"))


def row(node: Node) -> Any:
    with node.attached():
        return supervisor.which_children("sup")[0]


def whereis(node: Node) -> Pid | None:
    return node.name_services["global"].whereis_name("leader")


def led(nodes: list[Node]) -> Pid:
    """The leader on which all these agree, when there is one."""

    def one() -> Pid | None:
        seen = {whereis(node) for node in nodes}
        return seen.pop() if len(seen) == 1 else None

    found = eventually(one, timeout=20)
    assert found is not None
    return found


def leases(node: Node) -> Leases:
    service = node.name_services["global"]
    assert isinstance(service, global_.GlobalNames)
    return service.leases


def short(pid: Pid) -> str:
    return pid.node[0]


def lease_of(node: Node) -> global_.Lease:
    with node.attached():
        return global_.lease("leader")
