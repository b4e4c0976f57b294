"""Large messages in pieces: cut, carried, put together; what does not fit is refused."""

import struct
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otpy.distribution.fragments import Assembly, FragmentError, count, pieces
from otpy.distribution.transport import FRAGMENT, MAX_MESSAGE

HEAD = struct.Struct(">cIH")


def frames(number: int, buffers: list[bytes]) -> list[memoryview]:
    return [memoryview(b"".join(piece)) for piece in pieces(number, buffers)]


def first(number: int, *sizes: int, piece: bytes = b"x") -> memoryview:
    head = HEAD.pack(b"F", number, len(sizes)) + struct.pack(f">{len(sizes)}Q", *sizes)
    return memoryview(head + piece)


sizes = st.sampled_from([1, 7, FRAGMENT - 1, FRAGMENT, FRAGMENT + 1, 3 * FRAGMENT + 5])


@given(st.lists(sizes, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_messages_arrive_whole_however_their_pieces_mix(drawn: list[int], random: Random) -> None:
    sent = {n: [bytes([n]) * size, b"%d" % n, b"end" * size] for n, size in enumerate(drawn)}
    queues = [frames(number, buffers) for number, buffers in sent.items()]
    assert [len(queue) for queue in queues] == [count(buffers) for buffers in sent.values()]
    assembly, arrived = Assembly(), list[list[bytes]]()
    while queues:
        queue = random.choice(queues)
        whole = assembly.add(queue.pop(0))
        assert (whole is None) == bool(queue)
        if whole is not None:
            arrived.append(whole)
            queues.remove(queue)
    assert sorted(arrived) == sorted(sent.values())
    assert not assembly.growing


@pytest.mark.parametrize(
    ("before", "piece", "words"),
    [
        ([], memoryview(b"F"), "too short"),
        ([], first(1, 5, 6)[:12], "too short"),
        ([], first(1), "has not begun"),
        ([first(1, 9)], first(1, 9), "begins twice"),
        ([], first(1, 2, piece=b"three"), "5 bytes; only 2 are missing"),
        ([], first(1, 0), "0 bytes; at most"),
        ([], first(1, MAX_MESSAGE, 1), f"a message of {MAX_MESSAGE + 1} bytes; at most"),
    ],
)
def test_a_piece_that_does_not_fit_is_refused(
    before: list[memoryview], piece: memoryview, words: str
) -> None:
    assembly = Assembly()
    for earlier in before:
        assembly.add(earlier)
    with pytest.raises(FragmentError, match=words):
        assembly.add(piece)
