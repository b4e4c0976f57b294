"""The nodes of a cluster start together; one migrates the database, the others wait for it.

A lock of ``global_`` lets one node migrate at a time. It is free again when its holder has given
it back or ended, by ``kill -9`` too, and then the next one goes on. The lock saves work and keeps
the log readable. It is not what keeps the data right: in a netsplit each side locks for itself,
and a node that is cut off goes on with what it does. So each step is a transaction that looks
whether the step was made, and writes down that it is. Any node may migrate, at any time, again.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from otpy import (
    IGNORE,
    ClusterReady,
    From,
    GenServer,
    InitResult,
    Ok,
    Pid,
    Reply,
    Request,
    Stop,
    gen_server,
    global_,
    process,
    self_pid,
    supervisor,
)

LOG = logging.getLogger("migration")
LOCK = "schema migration"
RETRIES = 100  # at most 8 s apart: some seven minutes
PATIENCE = 60.0  # seconds that the database may be busy
STEPS = (
    "create table orders (id integer primary key, price integer, amount integer)",
    "alter table orders rename column price to cents",
    "update orders set cents = cents * 100",  # made twice, it would do harm
)


def connect(file: str) -> sqlite3.Connection:
    """An SQLite file; any database whose transactions hold changes of the schema would do."""
    return sqlite3.connect(file, PATIENCE, isolation_level=None)


def migrate(file: str, steps: tuple[str, ...] = STEPS) -> None:
    """Make the steps that were not made yet, each whole or not at all."""
    with closing(connect(file)) as database:
        for version, step in enumerate(steps, 1):
            database.execute("begin immediate")
            (made,) = database.execute("pragma user_version").fetchone()
            if made >= version:
                database.execute("rollback")
                continue
            LOG.info("migrating to version %d", version)
            database.execute(step)
            database.execute(f"pragma user_version = {version}")
            database.execute("commit")


class Migrator(GenServer[None]):
    """``(Migrator, (migrate, retries))``: the children after it start when ``migrate()`` is done.

    No process is left of it. It is like ``Ecto.Migrator`` in a list of children.
    """

    def init(self, arg: tuple[Callable[[], None], int]) -> InitResult[None]:
        run, retries = arg
        lock = (LOCK, self_pid())
        if global_.trans(lock, run, retries=0) == "aborted":
            LOG.info("another node migrates; this one waits")
            if global_.trans(lock, run, retries=retries) == "aborted":
                return Stop("migration_locked")
        return IGNORE


class Turnover(Request[int]):
    """What was sold, in cents."""


class Orders(GenServer[sqlite3.Connection]):
    """``(Orders, file)`` needs the new schema."""

    @classmethod
    def start_link(cls, file: str) -> Pid:
        return gen_server.start_link(cls, file, name=cls)

    def init(self, file: str) -> InitResult[sqlite3.Connection]:
        return Ok(process.own(connect(file)))

    def handle_call(
        self, request: Turnover, from_: From, database: sqlite3.Connection
    ) -> Reply[sqlite3.Connection]:
        (cents,) = database.execute("select total(cents * amount) from orders").fetchone()
        return Reply(int(cents))


def children(file: str, min_nodes: int = 2, retries: int = RETRIES) -> list[Any]:
    """The same list on every node; ``min_nodes`` is a majority of three.

    A lock is taken on the nodes that are connected, so the cluster comes before the migration.
    """
    return [
        (ClusterReady, {"min_nodes": min_nodes, "timeout": 30.0}),
        (Migrator, (partial(migrate, file), retries)),
        (Orders, file),
    ]


def start_link(file: str, **options: int) -> Pid:
    """Start the tree; it returns when the database is migrated, by whomever."""
    return supervisor.start_link(children(file, **options), strategy="one_for_one")
