"""Asking the connected nodes whom they see. Their I/O threads answer, whatever else is stuck."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from otpy.distribution import hello
from otpy.distribution.peer import Peer
from otpy.distribution.transport import Transport
from otpy.runtime.view import Answers, Sight

Done = Callable[[Answers], None]


@dataclass(slots=True)
class Asked:
    """One question: to whom, what has come, and whom to tell."""

    missing: dict[str, None]
    done: Done
    answers: Answers = field(default_factory=dict[str, Sight | None])


class Views:
    """One node's questions and answers. All but ``ask`` on the I/O thread."""

    def __init__(self, wire: Transport, connected: Mapping[str, Peer], hidden: bool) -> None:
        self.wire = wire
        self.connected = connected
        self.hidden = hidden
        self.asked: dict[int, Asked] = {}
        self.numbers = itertools.count(1)

    def here(self) -> Sight:
        """Whom this node sees."""
        seen = sorted(self.connected.items())
        return Sight(
            self.hidden,
            [name for name, peer in seen if not peer.hidden],
            [name for name, peer in seen if peer.hidden],
        )

    def ask(self, name: str, seconds: float, done: Done) -> None:
        """Ask every connected node; ``done`` gets what each said, None for nothing in time.

        ``name`` is this node's own, which is among the answers.
        """

        def begin() -> None:
            number = next(self.numbers)
            asked = self.asked[number] = Asked(dict.fromkeys(self.connected), done)
            asked.answers[name] = self.here()
            for peer in self.connected.values():
                if peer.link is not None:
                    peer.link.control(hello.question(number))
            self.wire.later(seconds, lambda: self._finish(number))
            self._look(number)

        self.wire.soon(begin)

    def heard_question(self, peer: Peer, data: bytes) -> str | None:
        """A Q frame; why it is none, if it is not."""
        number = hello.read(data, int)
        if isinstance(number, str):
            return number
        if peer.link is not None:
            peer.link.control(hello.answer(number, self.here()))
        return None

    def heard_answer(self, peer: Peer, data: bytes) -> str | None:
        """A W frame, likewise."""
        heard = hello.read(data, hello.Answer)
        if isinstance(heard, str):
            return heard
        asked = self.asked.get(heard.number)
        if asked is not None and peer.name in asked.missing:
            del asked.missing[peer.name]
            asked.answers[peer.name] = Sight(heard.hidden, heard.visible, heard.concealed)
            self._look(heard.number)
        return None

    def went_down(self, peer: Peer) -> None:
        """A session ended: what was asked in it is not answered."""
        for number, asked in list(self.asked.items()):
            if peer.name in asked.missing:
                del asked.missing[peer.name]
                asked.answers[peer.name] = None
                self._look(number)

    def _look(self, number: int) -> None:
        if not self.asked[number].missing:
            self._finish(number)

    def _finish(self, number: int) -> None:
        asked = self.asked.pop(number, None)
        if asked is not None:
            asked.done({**asked.answers, **dict.fromkeys(asked.missing)})
