"""The two ends of the rows about process groups; each runs in an OS process of its own."""

import time
from collections.abc import Callable

from otpy import GroupJoin, Pid, pg, process, self_pid
from tests.benchmarks.remote_ends import SERVER, OtpyCaller, OtpyEnd

EACH = 10  # members of a group


def _echo() -> None:
    """Tell who asked, for every join, that it has been seen."""
    pg.monitor_scope()
    pg.join("echo", self_pid())
    while True:
        match process.receive():
            case GroupJoin(_, ("seen" | "last", _), (pid, *_)):
                process.send(pid, "seen")
            case _:
                pass  # what this row does not measure


class GroupsThere(OtpyEnd):
    """Sees the joins."""

    def __init__(self, folder: str) -> None:
        super().__init__(SERVER, folder)

    def ready(self) -> bool:
        with self.node.attached():
            pg.start()
            process.spawn(_echo, green=True)
        return True


class GroupsHere(OtpyCaller):
    """Joins, from a green process or from a thread."""

    def connect(self) -> bool:
        super().connect()
        with self.node.attached():
            pg.start()
            while not pg.get_members("echo"):
                process.sleep(0.001)
        return True

    def _go(self, green: bool, work: Callable[[int], float], count: int) -> float:
        with self.node.attached():
            if not green:
                return work(count)
            me = self_pid()
            process.spawn(lambda: process.send(me, work(count)), green=True)
            seconds: float = process.receive(float)
            return seconds

    def join(self, green: bool, count: int) -> float:
        return self._go(green, _joins, count)

    def members(self, green: bool, count: int) -> float:
        return self._go(green, _reads, count)

    def many(self, green: bool, count: int) -> float:
        return self._go(green, _many, count)


def _joins(count: int) -> float:
    me = self_pid()
    start = time.perf_counter()
    for number in range(count):
        pg.join(("seen", number), me)
        process.receive(str)
    return (time.perf_counter() - start) / count


def _idle(count: int) -> list[Pid]:
    return [process.spawn(process.sleep, float("inf"), green=True) for _ in range(count)]


def _reads(count: int) -> float:
    pids = _idle(EACH)
    pg.join("read", pids)
    start = time.perf_counter()
    for _ in range(count):
        pg.get_members("read")
    taken = time.perf_counter() - start
    for pid in pids:
        process.exit(pid, "kill")
    return taken / count


def _many(count: int) -> float:
    pids = _idle(EACH)
    start = time.perf_counter()
    for number in range(count // EACH):
        pg.join(("many", number), pids)
    pg.join(("last", count), self_pid())
    process.receive(str)
    taken = time.perf_counter() - start
    for pid in pids:
        process.exit(pid, "kill")
    pg.join(("last", -count), self_pid())  # and until the ends of all are through
    process.receive(str)
    pg.leave(("last", count), self_pid())
    pg.leave(("last", -count), self_pid())
    return taken / count
