"""The pool in simulated time: an unreachable database, and clients that leave at any instant."""

from collections import Counter
from collections.abc import Callable
from random import Random

from examples.connection_pool.database import Database, Link
from examples.connection_pool.pool import (
    Options,
    PoolSupervisor,
    Status,
    connection,
    run,
    status,
)
from otpy import CallExit, CallTimeout, Down, Pid, process, self_pid, supervisor
from otpy.testing import Simulation, eventually


def beside_a_pool(body: Callable[[Database], None], seed: int = 1) -> Database:
    """Run ``body`` beside a pool of two connections; the database that it leaves."""
    database = Database()

    def process_() -> None:
        boss = supervisor.start_link(PoolSupervisor, Options("db", database.connect, 2, retry=1.0))
        body(database)
        supervisor.stop(boss)

    Simulation(seed).run(process_)
    return database


def test_clients_wait_for_a_database_that_is_out_of_reach() -> None:
    def body(database: Database) -> None:
        database.reachable = False
        with connection("db") as lent:
            process.spawn(run, lent, Link.reset)
            eventually(lambda: not process.alive(lent))
        process.sleep(10)
        assert status("db") == Status(free=1)
        assert database.attempts in range(11, 14)  # about once a second
        database.reachable = True
        with connection("db"), connection("db"):
            assert len(database.connected) == 2

    beside_a_pool(body)


class Clients:
    """Clients that come, stay and leave as the dice say; what they saw."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.used: set[Pid] = set()
        self.seen: Counter[str] = Counter()

    def client(self, boss: Pid) -> None:
        """Take a connection three times, for a second or two, and wait as long for it."""
        for _ in range(3):
            process.sleep(self.dice.randrange(3))
            try:
                with connection("db", timeout=self.dice.randrange(3)) as lent:
                    self.use(lent)
            except CallTimeout:
                self.seen["late"] += 1
            except CallExit:
                self.seen["broken"] += 1
        process.send(boss, "done")
        process.receive()  # it lives on: what it has lost does not come back by its death

    def use(self, lent: Pid) -> None:
        assert lent not in self.used, "a connection is lent twice"
        self.used.add(lent)
        try:
            process.sleep(self.dice.randrange(1, 3))
            assert run(lent, lambda link: link.double(21)) == 42
            if self.dice.random() < 0.1:
                run(lent, Link.reset)
            self.seen["served"] += 1
        finally:
            self.used.discard(lent)

    def play(self) -> list[Pid]:
        """Eight of them, of which three are killed; those that are left."""
        pids = [process.spawn_monitor(self.client, self_pid(), green=True)[0] for _ in range(8)]
        for pid in pids[:3]:
            process.sleep(1)
            process.exit(pid, "kill")
        for _ in list(pids):
            match process.receive():
                case Down(_, Pid() as gone, why):
                    assert why == "killed", why
                    pids.remove(gone)
                    self.seen["killed"] += 1
                case done:
                    assert done == "done"
        return pids


def test_no_connection_is_lost_or_lent_twice_whatever_clients_do() -> None:
    seen: Counter[str] = Counter()

    def body(database: Database) -> None:
        clients = Clients(dice)
        left = clients.play()
        eventually(lambda: status("db") == Status(free=2))
        assert len(database.connected) == 2
        assert len(left) >= 5
        seen.update(clients.seen)
        for pid in left:
            process.exit(pid, "kill")

    for seed in range(200):
        dice = Random(seed)
        assert beside_a_pool(body, seed).connected == set()
    # What is asserted was put to the test.
    assert all(seen[what] > 50 for what in ("served", "late", "broken", "killed")), seen
