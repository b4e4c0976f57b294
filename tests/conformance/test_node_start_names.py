"""NODE-12: what global names, groups and leases do when their node gets a name, and loses it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from otpy import (
    Down,
    Exit,
    GenServer,
    Global,
    Node,
    NodeError,
    Ok,
    Pid,
    gen_server,
    global_,
    node,
    pg,
    process,
    self_pid,
    start_node,
    supervisor,
)
from otpy.cluster._lease_contests import SERVER
from otpy.distribution.start import start_mesh
from otpy.runtime.ports import SystemClock
from otpy.testing import eventually
from otpy.testing.plugin import Reports
from tests.cluster.conftest import COOKIE
from tests.conformance.renamed import A, B, Nodes, two_nodes

LEASE = 1.0


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    """A node without a name and one that is on the net."""
    with two_nodes(tmp_path / "nodes") as made:
        yield made


class Named(GenServer[None]):
    """Has a name."""

    @classmethod
    def start_link(cls, name: Global) -> Pid:
        return gen_server.start_link(cls, None, name=name)

    def init(self, arg: None) -> Any:
        return Ok(arg)


def idle() -> Pid:
    return process.spawn(process.sleep, float("inf"), green=True)


def moment_passes() -> None:
    """Return in another millisecond: nodes sort by that of their start."""
    now = int(time.time() * 1000)
    eventually(lambda: int(time.time() * 1000) > now)


def idle_on(here: Node) -> Pid:
    with here.attached():
        return idle()


def whereis(here: Node, name: str) -> Pid | None:
    with here.attached():
        return global_.whereis_name(name)


def known_as(pid: Pid, name: str) -> Pid:
    """What others call a process of the node that is on the net as ``name``."""
    return Pid(pid.started, name, pid.bits, pid.number)


def test_node_12_names_registered_before_are_seen_and_go_with_the_stop(nodes: Nodes) -> None:
    """start/stop distribution at run time: global takes the change."""
    global_.start(nodes.home)
    early, late = idle(), idle()
    assert global_.register_name("early", early)
    for name in (A, "z@127.0.0.1"):
        nodes.start(name)
        global_.sync()
        assert whereis(nodes.far, "early") == known_as(early, name)
        assert global_.whereis_name("early") == early
        assert global_.register_name("late", late)
        assert whereis(nodes.far, "late") == known_as(late, name)
        with nodes.far.attached() as there:
            assert not global_.register_name("late", there)
            assert global_.register_name("far", there)
            assert global_.send("early", "hello") == known_as(early, name)
            assert whereis(nodes.home, "far") == there
            global_.unregister_name("late")
        eventually(lambda: global_.whereis_name("late") is None)
        node.stop()
        assert global_.whereis_name("early") == early
        assert global_.whereis_name("far") is None
        eventually(lambda: whereis(nodes.far, "early") is None)
        assert global_.register_name("far", self_pid())
        global_.unregister_name("far")


def test_node_12_the_end_of_an_old_holder_frees_its_name_everywhere(nodes: Nodes) -> None:
    """start/stop distribution at run time: the death of a process that ran before is masked."""
    global_.start(nodes.home)
    pid = idle()
    assert global_.register_name("x", pid)
    nodes.start()
    global_.sync()
    with nodes.far.attached():
        ref = global_.monitor_name("x")
        process.exit(known_as(pid, A), "kill")
        assert process.receive(timeout=5).ref == ref
        assert global_.register_name("x", self_pid())
        assert whereis(nodes.home, "x") == self_pid()


@pytest.mark.parametrize("first", ["home", "far"])
def test_node_12_a_conflict_with_a_name_of_before_is_decided_alike(
    first: str, tmp_path: Path
) -> None:
    """start/stop distribution at run time: as after a netsplit, the older node's holder is left."""
    with ExitStack() as stack:
        older = stack.enter_context(Node().start()) if first == "home" else None
        moment_passes()
        far = stack.enter_context(start_node(B, cookie=COOKIE, directory=tmp_path))
        moment_passes()
        home = older or stack.enter_context(Node().start())
        stack.enter_context(home.attached())
        global_.start(home)
        mine, theirs = idle(), idle_on(far)
        ref = process.monitor(mine)
        for here, pid in ((home, mine), (far, theirs)):
            with here.attached():
                assert global_.register_name("x", pid)
        node.start(A, cookie=COOKIE, directory=tmp_path)
        views = (mine, known_as(mine, A)) if first == "home" else (theirs, theirs)
        eventually(lambda: (whereis(home, "x"), whereis(far, "x")) == views)
        if first == "home":
            eventually(lambda: theirs not in far.procs)
        else:
            down = process.receive(Down, timeout=5)
            assert (down.ref, down.reason) == (ref, ("name_conflict", "x", theirs))


class Stopped(SystemClock):
    """Its wall shows the same time for ever."""

    wall = staticmethod(lambda: 1_700_000_000.0)


def test_node_12_nodes_whose_order_would_not_be_the_same_everywhere_stay_apart(
    tmp_path: Path, capture_reports: Reports
) -> None:
    """start/stop distribution at run time: begun in the same millisecond, and named late."""
    with Node(B, clock=Stopped()) as far, Node(clock=Stopped()) as home, home.attached():
        start_mesh(far, cookie=COOKIE, directory=tmp_path)
        node.start(A, cookie=COOKIE, directory=tmp_path)
        said = f"{A} got its name late, and began in the same millisecond"
        eventually(lambda: sum(said in text for text in capture_reports.texts) == 2)
        assert node.list_() == []


def test_node_12_locks_are_taken_on_the_nodes_there_are(nodes: Nodes) -> None:
    """start/stop distribution at run time: global's locks."""
    lock = ("resource", "me")
    global_.start(nodes.home)
    assert global_.set_lock(lock, retries=0)
    nodes.start()
    with nodes.far.attached():
        assert not global_.set_lock(("resource", "other"), retries=0)
        global_.del_lock(("resource", "other"))
    global_.del_lock(lock)
    with nodes.far.attached():
        assert global_.set_lock(("resource", "other"), retries=0)


def test_node_12_groups_keep_their_members_and_every_node_names_the_same_first(
    nodes: Nodes,
) -> None:
    """start/stop distribution at run time: pg takes the change."""
    with nodes.far.attached():
        far_scope = pg.start()
        far = idle()
        pg.join("g", far)
    scope = pg.start()
    early = idle()
    pg.join("g", [early, early])
    for name in (A, "z@127.0.0.1"):
        nodes.start(name)
        late = idle()
        pg.join("g", late)
        ours = [early, early, late]
        theirs = [known_as(pid, name) for pid in ours]

        def seen_there(theirs: list[Pid] = theirs) -> bool:
            with nodes.far.attached():
                return pg.get_members("g") == sorted([far, *theirs])

        eventually(seen_there)
        eventually(lambda ours=ours: pg.get_members("g") == sorted([far, *ours]))  # type: ignore[misc]
        assert pg.get_local_members("g") == ours
        short = idle()
        pg.join("other", short)
        process.exit(short, "kill")
        eventually(lambda: pg.which_groups() == ["g"])
        with nodes.far.attached():
            eventually(lambda: pg.which_groups() == ["g"])
            first = min(pg.get_members("g"))
        assert known_as(min(pg.get_members("g")), first.node) == first
        node.stop()
        eventually(lambda ours=ours: pg.get_members("g") == ours)  # type: ignore[misc]
        with nodes.far.attached():
            eventually(lambda: pg.get_members("g") == [far])
        pg.leave("g", late)
        process.exit(late, "kill")
    for here, pid in ((nodes.home, scope), (nodes.far, far_scope)):
        assert pid in here.procs


def test_node_12_a_standby_takes_the_name_when_the_other_node_has_left(nodes: Nodes) -> None:
    """start/stop distribution at run time: a name's holder that leaves is out of reach."""
    name = Global("leader")
    nodes.start()
    supervisor.start_link([(Named, name)], strategy="one_for_one")
    first = global_.whereis_name("leader")
    with nodes.far.attached():
        boss = supervisor.start_link([(Named, name)], strategy="one_for_one")
        (child,) = supervisor.which_children(boss)
        assert whereis(nodes.far, "leader") != child.pid
        with nodes.home.attached():
            node.stop()
        eventually(lambda: whereis(nodes.far, "leader") == child.pid)
    assert global_.whereis_name("leader") == first


def test_node_12_a_lease_is_lost_with_the_net_and_had_again(tmp_path: Path) -> None:
    """start/stop distribution at run time: no lease outlives the name of its node."""
    directory = tmp_path / "nodes"
    with (
        start_node(B, cookie=COOKIE, directory=directory, lease_time=LEASE),
        Node().start() as home,
        home.attached(),
    ):
        global_.start(home, lease_time=LEASE)
        process.flag(trap_exit=True)
        name = Global("leased", quorum=[A, B])
        for _ in range(2):
            node.start(A, cookie=COOKIE, directory=directory)
            boss = supervisor.start_link([(Named, name)], strategy="one_for_one")
            (child,) = supervisor.which_children(boss)
            eventually(lambda: global_.whereis_name("leased"), timeout=20)
            lease = global_.lease("leased")
            assert lease.valid()
            node.stop()
            assert not lease.valid()
            assert global_.whereis_name("leased") is None
            eventually(lambda child=child: not process.alive(child.pid))  # type: ignore[misc]
            supervisor.stop(boss)


def test_node_12_what_a_lost_lease_server_granted_is_over_everywhere(nodes: Nodes) -> None:
    """start/stop distribution at run time: also what processes hold whose pids are older."""
    nodes.start()
    with nodes.home.attached() as holder:
        process.flag(trap_exit=True)  # it lives on
        assert global_.register_name("leased", holder, quorum=[A, B])
        assert eventually(lambda: whereis(nodes.far, "leased")) == known_as(holder, A)
        server = nodes.home.names.whereis(SERVER)
        assert server is not None
        process.exit(server, "kill")
        assert process.receive(Exit, timeout=5).reason == ("lease_lost", "leased")
    for here in (nodes.home, nodes.far):
        leases = here.name_services["global"].leases  # type: ignore[attr-defined]
        eventually(lambda leases=leases: leases.holders.table == {})  # type: ignore[misc]


def test_node_12_a_node_with_promises_on_a_disk_gets_no_name(nodes: Nodes, tmp_path: Path) -> None:
    """start/stop distribution at run time: what is on the disk was promised under its name."""
    global_.start(nodes.home, state_dir=tmp_path / "state")
    with pytest.raises(NodeError, match="state_dir of nonode@nohost"):
        nodes.start()
    assert not node.alive()
