"""Every row of the benchmark still runs, on tiny sizes."""

import json

import pytest

from tests.benchmarks import beam, cluster, tasks
from tests.benchmarks.__main__ import ROWS
from tests.benchmarks.plan import TINY
from tests.benchmarks.table import Reach, document, figures, head, judge, line


@pytest.mark.parametrize("row", ROWS)
def test_a_row_measures_otpy_and_says_why_it_skips_a_peer(row: str) -> None:
    made = ROWS[row](TINY)
    measured = [figure for figure in made if figure.value is not None]
    assert any("otpy" in figure.candidate for figure in measured)
    assert all(figure.rounds for figure in measured)
    assert all(figure.skipped for figure in made if figure.value is None)


def test_the_table_tells_ratios_and_what_was_reached() -> None:
    made = figures("call", "op", {"otpy": [3e-6, 2e-6, 9e-6], "BEAM": [1e-6]})
    judge(made, "otpy", Reach("<= 2 x BEAM", 2.0, "BEAM"))
    shown = line(made[0], made)
    assert made[0].value == 3e-6
    assert " ".join(shown.split()) == "call otpy 3.00 µs 333,333 3.00 <= 2 x BEAM: MISSED"
    assert head().split()[0] == "row"
    assert json.dumps(document(made, TINY, "none"))


@pytest.mark.skipif(bool(beam.missing()), reason=beam.missing())
def test_the_beam_answers_every_command() -> None:
    with beam.alone() as node:
        for row in ("call", "cast", "start_stop", "restart_latency", *tasks.ROWS):
            assert node.ask(f"{row} 50 1") > 0
        for work in ("lookup", "register", "via", "dispatch", "fill", "clean_up"):
            assert node.ask(f"registry_{work} 50 0") > 0
        assert node.ask("among 50 10") > 0
        assert node.ask("idle 2000 60") > 0
        assert len(node.ask("children 10")) == 2
        assert len(node.ask("dynamic 10")) == 2
    with beam.pair() as (here, there):
        assert here.ask(f"remote_call 10 {there}") > 0
        assert here.ask(f"remote_cast 10 {there}") > 0
        for work in ("join", "members", "many"):
            assert here.ask(f"pg_{work} 20 {there}") > 0
    with beam.nodes(3, *cluster.APART) as nodes:
        assert beam.meet(nodes) > 0
        first, second, last = nodes
        began, ended = nodes[last].ask("global_register 10")
        assert began < ended
        assert nodes[last].ask(f"split {first} {second}")
        assert nodes[first].ask("hold")
        assert nodes[last].ask("hold")
        assert nodes[last].ask(f"heal {first} {second}") > 0
