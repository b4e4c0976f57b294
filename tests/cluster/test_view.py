"""``node.view``: who sees whom, asked of every node."""

import asyncio
from textwrap import dedent
from typing import Any

import pytest

from otpy import BadArgument, Node, aio, node, process
from otpy.distribution import hello
from otpy.runtime.view import Sight, View, put_together
from otpy.testing import eventually
from otpy.testing.cluster import Cluster as Programs
from otpy.testing.simulation import ClusterSimulation
from tests.cluster.conftest import Cluster, cluster

__all__ = ["cluster"]
A, B, C, H = (f"{short}@127.0.0.1" for short in "abch")


def sight(*visible: str, hidden: bool = False, concealed: tuple[str, ...] = ()) -> Sight:
    return Sight(hidden, list(visible), list(concealed))


def test_a_full_mesh_is_whole(cluster: Cluster) -> None:
    cluster.start("abc")
    with cluster.nodes["a"].attached():
        view = node.view()
    all_ = frozenset([A, B, C])
    assert view == View(A, {name: all_ - {name} for name in (A, B, C)})
    assert view.whole
    assert view.nodes == [A, B, C]


def test_nodes_that_do_not_see_each_other_are_named(cluster: Cluster) -> None:
    cluster.start("abc", prevent_overlapping_partitions=False)
    cluster.partition("a", "c")
    with cluster.nodes["b"].attached():
        view = node.view()
    assert (view.missing, view.one_way, view.silent, view.whole) == ([(A, C)], [], (), False)
    with cluster.nodes["a"].attached():
        assert node.view().missing == [(A, C)]  # it cannot ask c, and b says that there is one


def test_hidden_nodes_are_asked_and_miss_nobody(cluster: Cluster) -> None:
    cluster.start("abh", hidden="h")
    with cluster.nodes["h"].attached():
        assert node.connect(A)
    with cluster.nodes["a"].attached():
        eventually(lambda: node.list_("hidden") == [H])
        view = node.view()
    with cluster.nodes["h"].attached():
        mine = node.view()
    assert view.sees == {A: {B, H}, B: {A}, H: {A}}
    assert view.hidden == {H}
    assert view.whole
    assert mine.hidden == {H}
    assert mine.whole
    assert mine.sees[A] == {B, H}


def test_a_node_that_is_paused_is_named_as_silent() -> None:
    with Programs(3) as c:
        c.pause("c")
        view = c.call("a", node.view, 0.5)
        assert view.silent == (C,)
        assert view.sees == {A: {B, C}, B: {A, C}}
        assert not view.whole
        c.resume("c")
        assert c.call("a", node.view).whole


def test_a_session_that_ends_ends_the_wait(cluster: Cluster) -> None:
    """The other node has been asked, and will not answer."""
    cluster.start("ab")
    cluster.meshes["b"].membership.views.heard_question = lambda *_: None  # type: ignore[method-assign]
    with cluster.nodes["a"].attached():
        me = process.self_pid()

        def ask() -> None:
            process.send(me, node.view(float("inf")))

        process.spawn(ask)
        eventually(lambda: cluster.meshes["a"].membership.views.asked)
        cluster.meshes["b"].cut(A)
        view = process.receive(View, timeout=10)
        assert view.silent == (B,)
    assert cluster.meshes["a"].membership.views.asked == {}


def test_all_kinds_of_processes_ask_and_a_node_off_the_net_sees_nobody(cluster: Cluster) -> None:
    cluster.start("ab")
    one = cluster.nodes["a"]
    with one.attached():
        me = process.self_pid()
        process.spawn(lambda: process.send(me, node.view()), green=True)
        assert process.receive(View, timeout=10).whole
    assert asyncio.run(aio.view(node=one)).whole
    with pytest.raises(BadArgument, match="timeout=-1"):
        asyncio.run(aio.view(-1, node=one))
    with Node() as alone, alone.attached():
        assert node.view() == View(alone.name, {alone.name: frozenset()})
        with pytest.raises(BadArgument, match="timeout='soon'"):
            node.view("soon")  # type: ignore[arg-type]


def test_under_a_seed() -> None:
    sim = ClusterSimulation(1)
    sim.wait(sim.meshed)
    assert sim.call("a@sim", node.view).whole
    sim.pause("c@sim")
    view = sim.call("a@sim", node.view, 2.0)
    assert view.silent == ("c@sim",)
    sim.resume("c@sim")
    sim.close()


def test_a_view_travels(cluster: Cluster) -> None:
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        view = node.view()
        ref = node.spawn_monitor(B, give_back, view)[1]
        assert process.receive(timeout=10).reason == ("it", view)
        assert ref is not None


def give_back(view: View) -> None:
    process.exit(("it", view))


def test_what_is_no_question_and_no_answer_does_no_harm(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.start("ab")
    link = cluster.meshes["a"].connected[B].link
    assert link is not None
    late: list[bytes] = [hello.answer(77, sight(A))]
    for frame in (b"Q\xc1", b"Wno", b"V\x01", b"M\x01", *late):
        link.control(frame)
    with cluster.nodes["a"].attached():
        eventually(lambda: len(wrong(caplog)) == 4)
        assert node.view().whole


def wrong(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if "no proper frame" in text]


# What a view says.


def test_one_says_it_sees_another_that_does_not_see_it() -> None:
    view = put_together("a@h", {"a@h": sight("b@h"), "b@h": sight()})
    assert (view.one_way, view.missing, view.whole) == ([("a@h", "b@h")], [], False)


def test_what_nobody_says_is_not_said_to_be_missing() -> None:
    """Of two nodes that do not answer nobody knows."""
    view = put_together("a@h", {"a@h": sight("b@h", "c@h"), "b@h": None, "c@h": None})
    assert (view.missing, view.one_way, view.silent) == ([], [], ("b@h", "c@h"))


def test_a_view_prints_as_a_table() -> None:
    view = put_together(
        "a@h",
        {
            "a@h": sight("b@h", "c@h", "d@h"),
            "b@h": sight("a@h", "e@h", concealed=("hid@h",)),
            "c@h": None,
            "d@h": sight(),
            "hid@h": sight(hidden=True, concealed=("b@h",)),
        },
    )
    assert str(view) == dedent(
        """\
        Who sees whom, as asked by a@h

                1 2 3 4 5 6
        1 a@h   . x x ! -
        2 b@h   x . - - x x
        3 c@h   ? ? . ? ? ?  did not answer
        4 d@h   - - - . -
        5 e@h   ? ? ? ? . ?  not connected to a@h
        6 hid@h   x       .  hidden

        a@h and e@h do not see each other
        b@h and c@h do not see each other
        b@h and d@h do not see each other
        c@h and d@h do not see each other
        d@h and e@h do not see each other
        a@h sees d@h, which does not see it"""
    )


def test_more_than_nine_nodes_still_stand_in_columns() -> None:
    names = [f"n{number:02}@h" for number in range(12)]
    everyone: dict[str, Any] = {one: sight(*(n for n in names if n != one)) for one in names}
    lines = str(put_together(names[0], everyone)).splitlines()
    assert {len(line) for line in lines[2:]} == {2 + 1 + 5 + 12 * 3}
