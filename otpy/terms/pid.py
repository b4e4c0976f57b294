"""Process identifiers and references.

Both are values: they compare, sort, hash and travel. A pid's order is the same
on every node (node start, node name, creation bits, number), so nodes with the
same view agree on ``min(pids)``, and it lives on the node that started first.
The tags are how they travel (see ``distribution/codec.py``).
"""

import msgspec


class Creation(msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """One life of a node: a node that restarts under its old name is a new one.

    ``started`` is in milliseconds since the epoch, ``bits`` is drawn at random.
    """

    started: int
    node: str
    bits: int

    def __str__(self) -> str:
        return f"{self.node}/{self.started:x}.{self.bits:x}"


class Pid(
    msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False, array_like=True, tag=5
):
    """Names one process, for ever: numbers are not used twice in a node's life."""

    started: int
    node: str
    bits: int
    number: int

    @property
    def creation(self) -> Creation:
        """The life of the node this process belongs to."""
        return Creation(self.started, self.node, self.bits)

    def request(self, number: int) -> "Ref":
        """The reference of this process's request of that number."""
        return Ref(self.started, self.node, self.bits, number, self.number)

    def __repr__(self) -> str:
        return f"<{self.node}.{self.number}>"


class Ref(
    msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False, array_like=True, tag=6
):
    """Names one monitor, timer, alias or request, for ever.

    ``owner`` is the number of the process that a message sent to the reference
    reaches while it is an active alias; 0 where it was never made to be one.
    """

    started: int
    node: str
    bits: int
    number: int
    owner: int = 0

    def __repr__(self) -> str:
        return f"#Ref<{self.node}.{self.number}>"
