"""Waiting for a peer that takes less than is sent to it: Erlang's busy distribution port."""

from typing import TYPE_CHECKING

from otpy.runtime._current import HERE, may_wait
from otpy.runtime.ports import Held
from otpy.runtime.record import NO_REPLY, REPLY, Process
from otpy.terms.errors import Busy
from otpy.terms.signals import ReplySignal

if TYPE_CHECKING:
    from otpy.runtime.node import Node


def hold_back(node: "Node", me: Process, peer: str) -> None:
    """Let the current process wait, before it sends to ``peer``, until that takes more.

    It waits while the peer is busy, and until a large message of its own is out. otpy's own
    processes do not wait: others wait for them. Raises ``Busy`` in a coroutine, which cannot
    wait here, and ``ProcessExit`` if the process is ended meanwhile.
    """
    for held in (peer, (peer, me.pid)):
        while held in node.busy and _must_wait(node, me):
            _wait(node, me, held)


def is_busy(node: "Node", me: Process, peer: str) -> bool:
    """Whether ``hold_back`` would wait."""
    held = peer in node.busy or (peer, me.pid) in node.busy
    return held and _must_wait(node, me)


def _must_wait(node: "Node", me: Process) -> bool:
    own = me.sched is not None and me.sched is not node.user
    return node.router is not None and not own and HERE.draining is None


def _wait(node: "Node", me: Process, held: Held) -> None:
    peer = held if isinstance(held, str) else held[0]
    node.events.emit("busy_peer", peer=peer, pid=me.pid)
    if not may_wait():
        raise Busy(f"{peer} takes no more at present: send again later, or in a process that waits")
    # The wait is for an answer, as a call's is. It may stand before one whose request is to be
    # sent now, so that its slot is given back.
    number = next(node.numbers)
    with me.owned:
        before, me.call_tag, me.reply = me.call_tag, number, NO_REPLY
    free = ReplySignal(me.pid, me.pid.request(number), True, None)
    if (router := node.router) is None:  # it has just been stopped: nothing waits any more
        me.submit(free)
    else:
        router.when_free(held, lambda: me.submit(free))
    while me.reply is NO_REPLY:
        me.park(REPLY, None)
    with me.owned:
        me.call_tag, me.reply = before, NO_REPLY
