"""Invoices are numbered without gaps, and no number is given twice, whatever happens to a node.

One process of the cluster numbers them: it holds a name with a quorum, which is a lease that a
majority of the nodes has granted. It looks whether its lease is valid before each invoice. But a
node may be paused just after it has looked, and go on when another leads. So each write carries
the lease's token, and the books refuse one that is less than a token they have seen.
"""

import logging
import sqlite3
from dataclasses import dataclass

from otpy import (
    CallExit,
    From,
    GenServer,
    Global,
    InitResult,
    Ok,
    Pid,
    Reply,
    Request,
    gen_server,
    global_,
    process,
)

LOG = logging.getLogger("invoices")
NAME = "invoice numbers"
PATIENCE = 60.0  # seconds that the books may be busy


class Late(Exception):
    """The books have seen a later leader."""


class Books:
    """An SQLite file; any store that can compare and write in one step would do."""

    def __init__(self, file: str) -> None:
        self._database = sqlite3.connect(file, PATIENCE, isolation_level=None)
        self._database.executescript(
            "create table if not exists invoices (number integer primary key, text unique);"
            "create table if not exists fence (token integer);"
        )

    def add(self, token: int, text: str) -> int:
        """Write an invoice; its number, also if it was written before. Raises ``Late``."""
        with self._database as books:
            books.execute("begin immediate")
            (seen,) = books.execute("select coalesce(max(token), 0) from fence").fetchone()
            if token < seen:
                raise Late(f"the token {token} is less than {seen}")
            if token > seen:
                books.execute("insert into fence values (?)", (token,))
            books.execute("insert or ignore into invoices (text) values (?)", (text,))
            find = "select number from invoices where text = ?"
            number: int = books.execute(find, (text,)).fetchone()[0]
            return number

    def all(self) -> list[tuple[int, str]]:
        """Every invoice, by its number."""
        return self._database.execute("select number, text from invoices order by 1").fetchall()

    def close(self) -> None:
        """Close the file."""
        self._database.close()


@dataclass(frozen=True)
class Invoice(Request[int | None]):
    """Number this invoice and write it down: the number, or None if another leads by now."""

    text: str


@dataclass(frozen=True)
class State:
    lease: global_.Lease
    books: Books


class InvoiceNumbers(GenServer[State]):
    """``(InvoiceNumbers, (file, nodes))`` is the same child on every node; one of them leads.

    The nodes need ``start_node(..., state_dir=...)``: without it their leases have no token.
    """

    @classmethod
    def start_link(cls, arg: tuple[str, list[str]]) -> Pid:
        file, nodes = arg
        return gen_server.start_link(cls, file, name=Global(NAME, quorum=nodes))

    def init(self, file: str) -> InitResult[State]:
        return Ok(State(global_.lease(NAME), process.own(Books(file))))

    def handle_call(self, request: Invoice, from_: From, state: State) -> Reply[State]:
        if not state.lease.valid():
            return Reply(None)
        assert isinstance(state.lease.token, int)
        LOG.info("numbering %s", request.text)
        try:
            return Reply(state.books.add(state.lease.token, request.text))
        except Late as late:
            LOG.warning("%s was not numbered here: %s", request.text, late)
            return Reply(None)


def number(text: str) -> int | None:
    """The invoice's number; None if nobody answered: ask again, it gets one number only."""
    try:
        return gen_server.call(Global(NAME), Invoice(text), PATIENCE)
    except CallExit:
        return None
