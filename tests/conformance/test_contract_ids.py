"""The contract and its tests: every line of what is built has one, or stands in the departures."""

from tests.conformance.contract import LINES, departures, named_tests

BUILT = tuple(sorted({line.section for line in LINES.values()}))


def test_the_contract_is_whole() -> None:
    assert len(LINES) == 565
    assert sum(line.core for line in LINES.values()) == 403
    assert all(line.sentence for line in LINES.values())


def test_every_test_is_named_by_a_line_of_the_contract() -> None:
    wrong = [name for key, names in named_tests().items() if key not in LINES for name in names]
    assert wrong == []


def test_every_line_of_what_is_built_has_a_test_or_is_a_departure() -> None:
    on_purpose, later = departures()
    told = {*named_tests(), *on_purpose, *later}
    missing = [line for line in LINES.values() if line.section in BUILT and line.id not in told]
    assert missing == []


def test_departures_name_lines_of_the_contract() -> None:
    on_purpose, later = departures()
    assert [key for key in (*on_purpose, *later) if key not in LINES] == []


def test_what_is_there_is_not_said_to_be_missing() -> None:
    _, later = departures()
    found = named_tests()
    assert [key for key in later if key in found] == []
