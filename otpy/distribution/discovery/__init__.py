"""How nodes find each other: strategies for ``start_node(..., discovery=[...])``.

``LocalDirectory`` (nodes of this machine and user, the default), ``Static`` (names with hosts
and ports), ``Dns`` (a headless service), ``Gossip`` (datagrams on the local network). They may
be combined; of two that find the same node the first says where it is. One of your own has a
single method::

    class Consul:
        def found(self) -> list[Entry]:
            return [Entry("a@10.0.0.2", "10.0.0.2", 9100)]

A thread of the node asks each of them, one after the other, every 0.25 s, and dials whoever was
found and is not connected. ``found`` may wait, which delays the others. If it raises, that is
logged once, and what it gave last stays. What is no longer found is not dialed, and stays
connected if it is.
"""

from otpy.distribution.discovery._dns import Dns
from otpy.distribution.discovery._gossip import Gossip
from otpy.distribution.discovery._strategy import (
    Here,
    LocalDirectory,
    Opened,
    Opens,
    Static,
    Strategy,
)
from otpy.machines.discovery import Entry

__all__ = [
    "Dns",
    "Entry",
    "Gossip",
    "Here",
    "LocalDirectory",
    "Opened",
    "Opens",
    "Static",
    "Strategy",
]
