"""PROC-20 to 31: signal order, sending and receiving."""

import pytest

from otpy.runtime import process
from otpy.runtime.process import self_pid
from otpy.terms.errors import (
    NotRegistered,
    ReceiveTimeout,
)
from otpy.terms.messages import Down, Exit
from otpy.terms.names import At
from otpy.terms.pid import Pid
from tests.conformance.kinds import (
    WAIT,
    World,
    dead,
    down_of,
    everywhere,
    mail,
    nothing_waits,
    take,
    trapper,
)


async def _answer() -> int:
    return 42


@everywhere
def test_proc_20_signals_of_one_sender_keep_their_order(world: World) -> None:
    """PROC-20: signals from one sender to one receiver are delivered in send order."""
    pid = world.spawn(trapper, self_pid())
    take("ready")
    for number in range(50):
        if number % 3:
            process.send(pid, number)
        else:
            process.exit(pid, number)
    for number in range(50):
        take(("got", number if number % 3 else Exit(self_pid(), number)))
    process.exit(pid, "kill")


@everywhere
def test_proc_21_messages_after_an_exit_are_never_seen(world: World) -> None:
    """PROC-21: messages sent after exit(P, R) by the same sender are never observed by P."""

    async def body(parent: Pid) -> None:
        process.send(parent, ("saw", await mail()))

    for _ in range(20):
        pid, ref = world.spawn_monitor(body, self_pid())
        process.exit(pid, "boom")
        process.send(pid, "late")
        assert down_of(ref) == "boom"
    assert nothing_waits()


@everywhere
def test_proc_22_messages_come_before_the_down_of_their_sender(world: World) -> None:
    """PROC-22: a process's messages to its monitorer are all delivered before its DOWN."""

    async def body(parent: Pid) -> None:
        for number in range(100):
            process.send(parent, number)

    _, ref = world.spawn_monitor(body, self_pid())
    seen: list[int] = []
    while not isinstance(item := process.receive(timeout=WAIT), Down):
        seen.append(item)
    assert item.ref == ref
    assert seen == list(range(100))
    assert nothing_waits()


@everywhere
def test_proc_23_order_holds_over_pids_names_and_aliases(world: World) -> None:
    """PROC-23: ordering holds when sender mixes pid, {name,node} and alias destinations."""

    async def body(parent: Pid, node: str) -> None:
        alias = await mail()
        for number in range(60):
            process.send((parent, At("keeper", node), alias)[number % 3], number)

    process.register(self_pid(), "keeper")
    pid = world.spawn(body, self_pid(), self_pid().node)
    process.send(pid, process.alias())
    assert [process.receive(timeout=WAIT) for _ in range(60)] == list(range(60))
    process.unregister("keeper")


@everywhere
def test_proc_26_send_to_a_dead_pid_gives_the_message_back(world: World) -> None:
    """PROC-26: send to a dead pid succeeds silently and returns the message."""
    assert process.send(dead(world), "hello") == "hello"


@everywhere
def test_proc_27_send_to_an_unknown_name_raises_unless_with_its_node(world: World) -> None:
    """PROC-27: send to an unregistered atom raises badarg; to {name, node} never raises."""
    with pytest.raises(NotRegistered):
        process.send("nobody", "hello")
    assert process.send(At("nobody", self_pid().node), "hello") == "hello"
    assert process.send(At("nobody", "other@nowhere"), "hello") == "hello"


@everywhere
def test_proc_28_selective_receive_leaves_the_others_in_order(world: World) -> None:
    """PROC-28: selective receive leaves non-matching messages in original order."""
    for item in ("a", 1, "b", 2, "c"):
        process.send(self_pid(), item)
    assert process.receive(int, where=lambda n: n > 1) == 2
    assert [process.receive() for _ in range(4)] == ["a", 1, "b", "c"]


@everywhere
def test_proc_29_timeout_zero_looks_once(world: World) -> None:
    """PROC-29: receive timeout 0 scans the mailbox once and returns immediately."""
    with pytest.raises(ReceiveTimeout):
        process.receive(timeout=0)
    process.send(self_pid(), "x")
    with pytest.raises(ReceiveTimeout):
        process.receive(int, timeout=0)
    assert process.receive(str, timeout=0) == "x"


@everywhere
def test_proc_30_huge_timeouts_are_fine(world: World) -> None:
    """PROC-30: infinite sleep / timeouts above 2^32-1 ms must not crash sleep."""

    async def body(parent: Pid, seconds: float) -> None:
        process.send(parent, "waiting")
        await mail(str, timeout=seconds)

    for seconds in (2.0**33, 1e12, float("inf")):
        pid, ref = world.spawn_monitor(body, self_pid(), seconds)
        take("waiting")
        process.send(pid, "wake up")
        assert down_of(ref) == "normal"


@everywhere
def test_proc_31_a_call_does_not_scan_the_mailbox(world: World) -> None:
    """PROC-31: call latency must not degrade with a huge unrelated mailbox."""
    from otpy.runtime._current import current

    looks = 0

    class Unrelated:
        @property  # type: ignore[misc]
        def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
            nonlocal looks
            looks += 1
            return object

    for _ in range(1000):
        process.send(self_pid(), Unrelated())
    before = looks
    assert process.await_coroutine(_answer()) == 42
    assert looks == before
    current().mailbox.clear()
