"""Elections on each side of a split, on OS processes: the table of ``docs/elections.md``.

Each test's docstring begins with the row of the table that it shows.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otpy import (
    CallExit,
    Exit,
    GenServer,
    Global,
    Ok,
    Pid,
    Reply,
    gen_server,
    global_,
    node,
    pg,
    process,
    self_pid,
    supervisor,
)
from otpy.testing import Cluster

Make = Callable[..., Cluster]
A, B, C = NODES = [f"{short}@127.0.0.1" for short in "abc"]
LEASE = 1.0
LOCAL = "leader"
PLAIN = Global("leader")
LEASED = Global("leader", quorum=NODES)


class Leader(GenServer[list[Any]]):
    """Knows since when it leads, and what it was told when it stopped doing so."""

    @classmethod
    def start_link(cls, name: Any) -> Pid:
        return gen_server.start_link(cls, name, name=name)

    def init(self, arg: Any, /) -> Ok[list[Any]]:
        return Ok([arg])

    def handle_call(self, request: Any, from_: Any, state: list[Any], /) -> Reply[Any]:
        if request == "valid":
            return Reply(global_.lease("leader").valid())
        return Reply(self_pid())


def start(c: Cluster, name: Any, nodes: str) -> None:
    """The same child on each of the nodes; nothing counted as a restart may happen to it."""
    for short in nodes:
        c.start(short, [(Leader, name)], max_restarts=0, name="sup")


def child() -> Any:
    """What the supervisor of this node says of its only child."""
    return supervisor.which_children("sup")[0]


def leader() -> Pid | None:
    """Whom this node takes for the leader, if that answers."""
    pid = gen_server.whereis(PLAIN)
    return pid if isinstance(pid, Pid) and gen_server.call(pid, "who") == pid else None


def agreed(c: Cluster, nodes: str) -> Pid:
    """The leader of these nodes, once they agree."""

    def same() -> Pid | None:
        found = {c.call(short, leader) for short in nodes}
        return found.pop() if len(found) == 1 else None

    pid = c.wait_for(same)
    assert pid is not None
    return pid


def split(c: Cluster) -> None:
    c.partition({"a", "b"}, {"c"})


# Names.


def whereis_local() -> Any:
    return process.whereis(LOCAL)


def test_local_names_do_not_split(cluster: Make) -> None:
    """local name: as before on both sides, and after the heal."""
    c = cluster(3)
    start(c, LOCAL, "abc")
    before = [c.call(short, whereis_local) for short in "abc"]
    split(c)
    assert [c.call(short, whereis_local) for short in "abc"] == before
    c.heal()
    assert [c.call(short, whereis_local) for short in "abc"] == before


@pytest.mark.parametrize("newcomer", ["ab", "c"])
def test_each_side_leads_and_after_the_heal_the_older_does(cluster: Make, newcomer: str) -> None:
    """`Global`, standby children: the name is free on the side without the leader, and a standby
    there leads; the old leader goes on. After the heal the one that sorts first is left."""
    c = cluster(3)
    for short in newcomer:
        c.restart(short)
    start(c, PLAIN, "cab")
    old = agreed(c, "abc")
    assert old.node == C
    split(c)
    new = agreed(c, "ab")
    assert new.node in (A, B)
    assert c.call("c", leader) == old
    c.heal()
    winner = agreed(c, "abc")
    assert winner == min(old, new) == (old if newcomer == "ab" else new)
    loser = C if winner == new else new.node
    c.wait_for(lambda: c.call(loser, child).standby == winner)
    assert c.call(loser, child).pid not in (old, new)


def note_exits(name: str, to: str) -> None:
    """Hold a global name until its end, and write into a file what ended it."""
    process.flag(trap_exit=True)
    global_.register_name(name, self_pid())
    ended = process.receive(Exit)
    Path(to).write_text(repr(ended.reason))


def hold(name: str, to: str) -> Pid:
    return process.spawn(note_exits, name, to)


def whereis(name: str) -> Pid | None:
    return global_.whereis_name(name)


def test_the_loser_is_told_who_won(cluster: Make, tmp_path: Path) -> None:
    """`Global`, standby children: the other ends with ("name_conflict", name, winner)."""
    c = cluster(3)
    split(c)
    files = {short: tmp_path / short for short in "bc"}
    pids = {short: c.call(short, hold, "x", str(files[short])) for short in "bc"}
    for short in "bc":
        c.wait_for(lambda short=short: c.call(short, whereis, "x") == pids[short])  # type: ignore[misc]
    c.heal()
    winner = min(pids.values())
    loser = "c" if winner == pids["b"] else "b"
    c.wait_for(files[loser].exists)
    said = c.wait_for(files[loser].read_text)
    assert said == repr(("name_conflict", "x", winner))
    assert [c.call(short, whereis, "x") for short in "abc"] == [winner] * 3
    assert not files["bc".replace(loser, "")].exists()


def the_greatest(name: str, one: Pid, other: Pid) -> Pid:
    """A resolver; each run of it leaves a line in the log."""
    print(f"{node.self_()} resolves {name}", flush=True)
    return max(one, other)


def register_resolved() -> Pid:
    pid = process.spawn(process.receive)
    assert global_.register_name("x", pid, the_greatest)
    return pid


def test_a_resolver_decides_once(cluster: Make) -> None:
    """`Global` with a resolver: the same on both sides; the resolver decides, once, on one node."""
    c = cluster(3)
    split(c)
    pids = [c.call(short, register_resolved) for short in "bc"]
    c.heal()
    c.wait_for(lambda: [c.call(short, whereis, "x") for short in "abc"] == [max(pids)] * 3)
    said = [line for line in "".join(map(c.logs, "abc")).splitlines() if "resolves" in line]
    assert said == [f"{min(pids).node} resolves x"]


# Leases.


def says_valid() -> tuple[bool, float]:
    """Whether a leader of this node has a valid lease, and the instant of the answer."""
    try:
        held = bool(gen_server.call(child().pid, "valid"))
    except CallExit:  # it stands by, or does so from this instant on
        held = False
    return held, time.clock_gettime(time.CLOCK_BOOTTIME)


def test_a_majority_elects_and_the_minority_steps_down_before(cluster: Make) -> None:
    """`Global` with a quorum of the three: a majority holds the lease when the old one is over;
    the minority steps down before and stands by; after the heal one holder, as before."""
    c = cluster(3, lease_time=LEASE)
    start(c, LEASED, "c")
    old = c.wait_for(lambda: c.call("c", leader))
    start(c, LEASED, "ab")
    split(c)
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    last_valid = first_valid = 0.0
    while not first_valid:
        held, at = c.call("c", says_valid)
        last_valid = at if held else last_valid
        for short in "ab":
            held, at = c.call(short, says_valid)
            first_valid = at if held else first_valid
        assert at - began < 10 * LEASE, "nobody leads"
    assert last_valid < first_valid
    new = agreed(c, "ab")
    assert c.call("c", says_valid)[0] is False
    c.wait_for(lambda: c.call("c", child).pid not in (None, old))
    c.heal()
    assert agreed(c, "abc") == new
    c.wait_for(lambda: c.call("c", child).standby == new)


# Locks.


def keep_lock(requester: str) -> None:
    process.register(self_pid(), "keeper")
    lock = ("file", requester)
    assert global_.set_lock(lock)  # it tries again when it meets somebody who only asks
    process.receive()
    global_.del_lock(lock)


def begin_lock(requester: str) -> Pid:
    return process.spawn(keep_lock, requester)


def locked() -> bool:
    """Whether somebody has the lock, as the nodes that this one sees know it."""
    if global_.set_lock(("file", "asking"), retries=0):
        global_.del_lock(("file", "asking"))
        return False
    return True


def let_go() -> None:
    process.send("keeper", "go")


def test_each_side_locks_for_itself(cluster: Make) -> None:
    """`global_.trans`, `set_lock`: two may run in a split; a lock that both hold is kept by both
    until they give it back."""
    c = cluster(3)
    c.call("c", begin_lock, "one")
    c.wait_for(lambda: c.call("a", locked))
    split(c)
    c.wait_for(lambda: not c.call("a", locked))
    c.call("a", begin_lock, "other")
    c.wait_for(lambda: c.call("b", locked))
    assert c.call("c", locked)
    c.heal()
    assert [c.call(short, locked) for short in "abc"] == [True] * 3
    c.call("a", let_go)
    c.wait_for(lambda: c.call("a", process.whereis, "keeper") is None)
    assert [c.call(short, locked) for short in "abc"] == [True] * 3
    c.call("c", let_go)
    c.wait_for(lambda: not any(c.call(short, locked) for short in "abc"))


# Groups.


def member() -> None:
    pg.join("group", self_pid())
    process.receive()


def join() -> Pid:
    return process.spawn(member)


def smallest() -> Pid | None:
    return min(pg.get_members("group"), default=None)


@pytest.fixture
def groups(cluster: Make) -> Cluster:
    c = cluster(3)
    for short in "abc":
        c.start(short, [pg.child_spec()])
    return c


def test_each_side_has_its_smallest_member(groups: Cluster) -> None:
    """`pg`, the smallest pid: that of each side leads there; after the heal all views are the
    same again, and one leads."""
    c = groups
    pids = {short: c.call(short, join) for short in "abc"}
    one = min(pids.values())
    c.wait_for(lambda: [c.call(short, smallest) for short in "abc"] == [one] * 3)
    split(c)
    sides = [min(pids["a"], pids["b"])] * 2 + [pids["c"]]
    c.wait_for(lambda: [c.call(short, smallest) for short in "abc"] == sides)
    c.heal()
    c.wait_for(lambda: [c.call(short, smallest) for short in "abc"] == [one] * 3)
