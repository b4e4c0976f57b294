"""Green processes that wait inside a function keep a greenlet each."""

import threading

from otpy import Down, Node, Pid, process, self_pid
from otpy.runtime._current import current_or_none
from otpy.runtime.record import Process
from otpy.runtime.simulated import Simulation

MANY = 1500  # each deeper than the other, they would be far beyond the recursion limit


def many_wait() -> None:
    me = self_pid()

    def body() -> None:
        process.send(me, self_pid())
        process.exit(process.receive(int))

    pids = [process.spawn(body, green=True) for _ in range(MANY)]
    assert sorted(process.receive(Pid, timeout=5) for _ in pids) == sorted(pids)
    refs = {process.monitor(pid): number for number, pid in enumerate(pids)}
    for number, pid in enumerate(pids):
        process.send(pid, number)
    for _ in pids:
        down = process.receive(Down, timeout=5)
        assert down.reason == refs[down.ref]


def test_any_number_of_green_processes_may_wait(node: Node) -> None:
    many_wait()


def test_any_number_of_simulated_processes_may_wait() -> None:
    Simulation(1).run(many_wait)


def test_what_a_scheduler_does_between_dispatches_is_nobodys(node: Node) -> None:
    """Not that of the body that parked last: what asks who runs there would park it once more."""
    parked, seen = threading.Event(), list[Process | None]()

    def look() -> None:
        seen.append(current_or_none())
        parked.set()

    def body() -> None:
        node.kernel.post(None, look)
        process.receive(str)

    proc = node.make("kernel", body)
    proc.start()
    assert parked.wait(5)
    assert seen == [None]
    ref = process.monitor(proc.pid)
    process.send(proc.pid, "over")
    assert process.receive(Down, timeout=5).ref == ref
