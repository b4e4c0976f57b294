"""A DNS server for one test: a UDP socket, and dnspython to read and write messages."""

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

NAME = "app.default.svc."
Answer = Callable[[dns.message.QueryMessage], dns.message.Message | None]


class NameServer:
    """Answers as ``answer`` has it, None for not at all; ``asked`` counts the questions."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._main)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()

    def _main(self) -> None:
        while True:
            data, whence = self.socket.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            self.asked += 1
            assert isinstance(query, dns.message.QueryMessage)
            reply = self.answer(query)
            if reply is not None:
                self.socket.sendto(reply.to_wire(), whence)


def reply(
    query: dns.message.QueryMessage, addresses: list[str], name: str = NAME
) -> dns.message.Message:
    """The answer to a question for addresses, those of its kind; it may be of another name."""
    made = dns.message.make_response(query)
    made.flags |= dns.flags.RA
    kind = query.question[0].rdtype
    fitting = [a for a in addresses if (":" in a) == (kind == dns.rdatatype.AAAA)]
    if fitting:
        made.answer.append(
            dns.rrset.from_text(name, 5, "IN", dns.rdatatype.to_text(kind), *fitting)
        )
    return made


def no_such_name(query: dns.message.QueryMessage) -> dns.message.Message:
    """The answer that there is no such name."""
    made = dns.message.make_response(query)
    made.set_rcode(dns.rcode.NXDOMAIN)
    return made
