"""Nodes joined by session machines over a model of connections, and what must hold.

Each side of a pair of nodes opens connections of its own; a connection carries frames
in order in both directions, late or never, and no two connections share an order. A
broken one may still bring the first of what was in flight; its owner may hear of the
end or not. A node may die and come back with a new creation. ``Side`` drives a machine
and leaves to it whatever it can decide. Three things the driver must do itself: when a
session ends, say BYE on both connections; after an end, open the next one in its own
time, not at the peer's HELLO (``hasty`` does that, and two hasty ones chase each other
for ever); when it refused a frame, forget the HELLO of that connection.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from otpy.machines.session import Deliver, Down, Effect, Session, Up
from otpy.terms.pid import Creation

SILENCE, PATIENCE = 10.0, 5.0
CLOSED = ("closed",)

Frame = tuple[Any, ...]


class NeverUpError(AssertionError):
    """The network was left alone, and some sessions did not come up."""


@dataclass
class Connection:
    """One connection attempt: ``out`` goes from its owner to its dest, ``back`` returns."""

    id: bytes
    owner: "Side"
    dest: "Side"
    out: deque[Frame] = field(default_factory=deque[Frame])
    back: deque[Frame] = field(default_factory=deque[Frame])
    carries: bool = True  # what is sent on it may arrive
    heard: bool = False  # its HELLO arrived
    sent: int = 0

    def send(self, *frame: Any) -> None:
        if self.carries:
            self.out.append(frame)

    def answer(self, *frame: Any) -> None:
        if self.carries:
            self.back.append(frame)

    def cut(self, keep: int, tell: bool) -> None:
        """It carries no more; ``keep`` frames to the dest are in flight still."""
        while len(self.out) > keep:
            self.out.pop()
        self.back.clear()
        if tell:
            self.answer(*CLOSED)
        self.carries = False


@dataclass
class Side:
    """What one life of a node knows of another node; checks what its sessions say."""

    net: "Network"
    me: Creation
    peer: str
    session: Session | None = None
    link: Connection | None = None
    opened: float = 0.0
    in_id: bytes | None = None
    in_creation: Creation | None = None
    up: bool = False
    source: bytes | None = None  # the connection that this session's frames come on
    stream: list[int] = field(default_factory=list[int])  # delivered in this session
    over: set[bytes] = field(default_factory=set[bytes])  # the peer's sessions that ended here

    def open(self) -> None:
        if self.link is not None:
            return
        self.link = link = self.net.connect(self)
        self.opened = self.net.now
        self.session = session = self.net.machine(link.id)
        link.send("hello", self.me)
        if self.in_id is not None and self.in_creation is not None:
            self.do(session.hello(self.in_id, self.in_creation, self.net.now))

    def came_in(self, on: Connection, frame: Frame) -> None:
        """A frame on a connection of the peer's."""
        match frame:
            case ("hello", creation):
                on.heard = True
                self.in_id, self.in_creation = on.id, creation
                on.answer("ack", self.me)
                if self.session is not None:
                    self.do(self.session.hello(on.id, creation, self.net.now))
                if self.session is None or self.net.hasty:
                    self.open()
            case ("data", number):
                session = self.session
                effects = session.data(on.id, b"%d" % number, self.net.now) if session else None
                if effects is None:
                    on.answer("bye")
                    if on.id == self.in_id:  # a frame is lost: no later one may come in
                        self.in_id = self.in_creation = None
                else:
                    self.do(effects, on)
            case ("tick",) if self.session is not None:
                self.session.tick(on.id, self.net.now)
            case ("bye",) if self.in_id == on.id:
                self.end("bye")

    def came_back(self, on: Connection, frame: Frame) -> None:
        """A frame on a connection of ours, perhaps on one that we left."""
        if frame[0] == "ack" and self.session is not None:
            self.do(self.session.ack(on.id, frame[1], self.net.now))
        elif frame[0] in ("bye", "closed") and on is self.link:
            self.end(frame[0])

    def end(self, reason: str) -> None:
        session = self.session
        if session is not None:
            self.do(session.end(reason))
        self.leave(reason)

    def leave(self, reason: str) -> None:
        """The session is over; it stays, ended, until another begins."""
        link, self.link = self.link, None
        if link is not None:
            link.send("bye")
        if self.in_id is not None and reason != "restarted":
            incoming = self.net.connections.get(self.in_id)
            if incoming is not None:
                incoming.answer("bye")
            self.in_id = self.in_creation = None

    def passes(self) -> None:
        """Time has passed."""
        if self.session is None or self.link is None:
            return
        if self.session.up:
            self.link.send("tick")
            self.do(self.session.silent(self.net.now, SILENCE))
        elif self.net.now - self.opened > PATIENCE:
            self.end("no answer")

    def say(self) -> None:
        if self.session is not None and self.session.up and self.link is not None:
            self.link.send("data", self.link.sent)
            self.link.sent += 1

    # What must hold.

    def do(self, effects: list[Effect], on: Connection | None = None) -> None:
        for effect in effects:
            match effect:
                case Up(peer):
                    self.came_up(peer)
                case Deliver(data):
                    self.delivered(int(data), on)
                case Down(_, reason, was_up):
                    self.came_down(reason, was_up)

    def came_up(self, peer: Creation) -> None:
        session = self.session
        assert not self.up, "up twice"
        assert session is not None
        assert session.in_id is not None
        theirs, ours = self.net.made[session.in_id], self.net.made[session.out_id]
        assert session.in_id not in self.over, "up with a session that was over"
        assert theirs.owner.me == peer, "up with another life than its hello's"
        assert ours.heard, "up before our hello arrived"
        assert ours.dest is theirs.owner, "up with two lives at once"
        self.up, self.source = True, session.in_id
        self.stream.clear()

    def delivered(self, number: int, on: Connection | None) -> None:
        assert self.up, "delivered while not up"
        assert on is None or on.id == self.source, "delivered from another session"
        assert number == len(self.stream), "a gap, or a frame again"
        self.stream.append(number)

    def came_down(self, reason: str, was_up: bool) -> None:
        assert was_up == self.up, "down without up, or up without down"
        session = self.session
        assert session is not None
        if session.in_id is not None:
            self.over.add(session.in_id)
        self.up = False
        self.leave(reason)


class Network:
    """The nodes, their connections, and whatever happens to them."""

    def __init__(self, names: str, machine: type[Session] = Session, hasty: bool = False) -> None:
        self.machine, self.hasty = machine, hasty
        self.now = 0.0
        self.lives = 0
        self.made: dict[bytes, Connection] = {}
        self.connections: dict[bytes, Connection] = {}  # those that may bring something yet
        self.sides: dict[tuple[str, str], Side] = {}
        self.names = names
        for name in names:
            self.born(name)

    def born(self, name: str) -> None:
        self.lives += 1
        me = Creation(self.lives, name, self.lives)
        for peer in self.names:
            if peer != name:
                self.sides[name, peer] = Side(self, me, peer)

    def connect(self, owner: Side) -> Connection:
        dest = self.sides[owner.peer, owner.me.node]
        made = Connection(b"%d" % len(self.made), owner, dest)
        self.made[made.id] = self.connections[made.id] = made
        return made

    def die(self, name: str, tell: bool, keep: int) -> None:
        for one in self.connections.values():
            if one.owner.me.node == name:
                one.cut(keep, False)
            elif one.dest.me.node == name:
                one.cut(0, tell)
        self.born(name)

    def queues(self) -> list[tuple[Connection, deque[Frame]]]:
        for one in list(self.connections.values()):
            left = one.owner.link is not one
            if not one.out and not one.back and (left or not one.carries):
                del self.connections[one.id]
        both = [(one, q) for one in self.connections.values() for q in (one.out, one.back)]
        return [(one, queue) for one, queue in both if queue]

    def deliver(self, number: int) -> bool:
        queues = self.queues()
        if not queues:
            return False
        one, queue = queues[number % len(queues)]
        frame = queue.popleft()
        side = one.dest if queue is one.out else one.owner
        if side is not self.sides[side.me.node, side.peer]:
            return True  # for a life that is over
        if queue is one.out:
            side.came_in(one, frame)
        else:
            side.came_back(one, frame)
        return True

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for side in self.sides.values():
            side.passes()

    def happen(self, kind: str, number: int) -> None:
        sides = list(self.sides.values())
        side = sides[number % len(sides)]
        match kind:
            case "open":
                side.open()
            case "deliver":
                for _ in range(1 + number // 16):  # of one connection, while others wait
                    self.deliver(number)
            case "flow":
                draw = random.Random(number)
                for _ in range(number % 8):
                    self.deliver(draw.randrange(64))
            case "say":
                for _ in range(1 + number // 16):
                    side.say()
            case "end":
                side.end("disconnect")
            case "cut" if self.connections:
                picked = list(self.connections.values())[number % len(self.connections)]
                picked.cut(number % 4, number % 3 > 0)
            case "die":
                self.die(self.names[number % len(self.names)], number % 3 > 0, number % 4)
            case "wait":
                self.wait(float(number % 12))

    # The network left alone.

    def settle(self, draw: random.Random) -> None:
        """Deliver everything, open what is not open, until all are up."""
        for _ in range(60):
            for _ in range(500):
                if not self.deliver(draw.randrange(64)):
                    break
            if self.at_rest():
                return
            self.wait(1.0)
            for side in self.sides.values():
                if draw.random() < 0.7:
                    side.open()
        raise NeverUpError("left alone, and not all came up")

    def at_rest(self) -> bool:
        return not self.queues() and all(self.joined(*pair) for pair in self.pairs())

    def joined(self, one: Side, other: Side) -> bool:
        mine, theirs = one.session, other.session
        return (
            one.up
            and other.up
            and all(end.link is not None and end.link.carries for end in (one, other))
            and mine is not None
            and theirs is not None
            and (mine.out_id, mine.in_id) == (theirs.in_id, theirs.out_id)
        )

    def pairs(self) -> Iterator[tuple[Side, Side]]:
        for (one, other), side in self.sides.items():
            if one < other:
                yield side, self.sides[other, one]

    def check(self, seed: int) -> None:
        """All come up; what is said then arrives, with all that was said before in it."""
        draw = random.Random(seed)
        self.settle(draw)
        for side in self.sides.values():
            side.say()
            side.say()
        while self.deliver(draw.randrange(64)):
            pass
        for pair in self.pairs():
            assert self.joined(*pair)
            for side, other in (pair, pair[::-1]):
                assert other.link is not None
                assert len(side.stream) == other.link.sent, "something was lost"
