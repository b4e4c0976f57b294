"""REG-15 to 25: dispatch, names, listeners, patterns, metadata, options."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
# The guards take values of any type: their parameters have none.

from typing import Any

import pytest

from otpy import (
    AlreadyStarted,
    BadArgument,
    CallExit,
    NotAName,
    NotRegistered,
    Pid,
    StartError,
    Stop,
    Via,
    gen_server,
    process,
    registry,
    self_pid,
    supervisor,
)
from otpy.machines.registry import share
from tests.conformance.conftest import Runner
from tests.conformance.registries import cleaned, duplicate, holder, kill, unique
from tests.conformance.servers import kind
from tests.conformance.waiting import nothing_more

ANY, Var = registry.ANY, registry.Var
KEY, PID, VALUE = Var("key"), Var("pid"), Var("value")


def test_reg_15_dispatch_runs_once_for_each_partition_with_entries(run: Runner) -> None:
    """REG-15: dispatch runs fun once per partition with entries in the caller; never invoked
    when empty; returns :ok."""

    def body() -> None:
        seen: list[Any] = []
        names = unique()
        registry.register(names, "k", 1)
        registry.dispatch(names, "k", lambda entries: seen.append((self_pid(), entries)))
        registry.dispatch(names, "other", seen.append)
        assert seen == [(self_pid(), [(self_pid(), 1)])]
        topics = duplicate(3)
        pids = [holder(run, topics, ("k", number)) for number in range(3)]
        shares: list[list[Any]] = []
        registry.dispatch(topics, "k", shares.append)
        assert sorted(entry for share in shares for entry in share) == sorted(
            (pid, number) for number, pid in enumerate(pids)
        )
        assert len(shares) == len({share(pid, 3) for pid in pids})
        registry.dispatch(topics, "other", shares.append)
        assert [] not in shares

    run(body)


def test_reg_15_dispatch_leaves_out_the_dead(run: Runner) -> None:
    """REG-15: a process that has died is not among the entries."""

    def body() -> None:
        name = duplicate()
        kill(holder(run, name, ("k", 1)))
        registry.dispatch(name, "k", lambda entries: pytest.fail(f"told of {entries}"))
        cleaned(name)

    run(body)


def test_reg_16_a_parallel_dispatch_runs_in_other_processes(run: Runner) -> None:
    """REG-16: parallel dispatch with partitions>1 runs in other processes and leaks no EXIT."""

    def body() -> None:
        process.flag(trap_exit=True)
        name = duplicate(8)
        pids = [holder(run, name, ("k", number)) for number in range(4)]
        me = self_pid()

        def tell(entries: list[tuple[Pid, Any]]) -> None:
            process.send(me, ("in", self_pid(), [pid for pid, _ in entries]))

        registry.dispatch(name, "k", tell, parallel=True)
        told = [process.receive(tuple, timeout=0) for _ in {share(pid, 8) for pid in pids}]
        assert me not in [where for _, where, _ in told]
        assert sorted(pid for _, _, share in told for pid in share) == sorted(pids)
        nothing_more()
        with pytest.raises(CallExit) as failed:
            registry.dispatch(name, "k", lambda entries: process.exit("boom"), parallel=True)
        assert failed.value.reason == "boom"
        nothing_more()

    run(body)


def test_reg_17_a_server_is_found_by_its_key_and_the_key_is_taken_by_it(run: Runner) -> None:
    """REG-17: via {reg,key} and {reg,key,value}; already_started through via."""

    def body() -> None:
        name = unique()
        plain = Via(registry, (name, "plain"))
        pid = gen_server.start_link(kind(run), 0, name=plain)
        assert gen_server.whereis(plain) == pid
        assert gen_server.call(plain, "hi") == ("hi", 0)
        assert registry.lookup(name, "plain") == [(pid, None)]
        valued = Via(registry, (name, "valued", "value"))
        other = gen_server.start_link(kind(run), 0, name=valued)
        assert registry.lookup(name, "valued") == [(other, "value")]
        assert gen_server.whereis(Via(registry, (name, "valued"))) == other
        for taken, has in ((plain, pid), (valued, other)):
            with pytest.raises(AlreadyStarted) as refused:
                gen_server.start_link(kind(run), 0, name=taken)
            assert refused.value.pid == has
        registry.register_name((name, "me"), self_pid())
        assert registry.whereis_name((name, "me")) == self_pid()
        assert not registry.register_name((name, "plain"), self_pid())
        registry.unregister_name((name, "me"))
        assert registry.whereis_name((name, "me")) is None
        with pytest.raises(BadArgument, match="itself"):
            registry.register_name((name, "theirs"), pid)

    run(body)


def test_reg_17_the_key_is_free_after_a_failed_start_and_after_an_end(run: Runner) -> None:
    """REG-17: name freed when start fails."""

    def body() -> None:
        name = unique()
        via = Via(registry, (name, "k"))
        with pytest.raises(StartError) as failed:
            gen_server.start(kind(run), lambda: Stop("bad"), name=via)
        assert failed.value.reason == "bad"
        assert gen_server.whereis(via) is None
        for _ in range(20):
            pid = gen_server.start(kind(run), 0, name=via)
            assert gen_server.whereis(via) == pid
            gen_server.stop(pid, "shutdown")
            assert gen_server.whereis(via) is None

    run(body)


def test_reg_18_what_is_sent_to_a_key_that_nobody_has(run: Runner) -> None:
    """REG-18: call via missing gives noproc; cast via missing :ok; send/2 raises."""

    def body() -> None:
        name = unique()
        for key in ((name, "nobody"), ("nowhere", "k")):
            gen_server.cast(Via(registry, key), "hi")
            with pytest.raises(NotRegistered):
                process.send(Via(registry, key), "hi")
            with pytest.raises(NotRegistered):
                registry.send(key, "hi")
        with pytest.raises(CallExit) as failed:
            gen_server.call(Via(registry, (name, "nobody")), "hi")
        assert failed.value.reason == "noproc"
        registry.register(name, "me", None)
        assert registry.send((name, "me"), "one") == self_pid()
        process.send(Via(registry, (name, "me")), "two")
        gen_server.cast(Via(registry, (name, "me")), "three")
        assert [process.receive(str, timeout=0), process.receive(str, timeout=0)] == ["one", "two"]

    run(body)


def test_reg_19_a_key_of_a_duplicate_registry_is_no_name(run: Runner) -> None:
    """REG-19: via on duplicate raises ":via is not supported for duplicate registries"."""

    def body() -> None:
        name = duplicate()
        for use in (
            lambda: registry.whereis_name((name, "k")),
            lambda: registry.register_name((name, "k"), self_pid()),
            lambda: registry.unregister_name((name, "k")),
            lambda: gen_server.call(Via(registry, (name, "k")), "hi"),
        ):
            with pytest.raises(BadArgument, match="not supported for duplicate registries"):
                use()
        for wrong in (name, (name,), (name, "k", 1, 2)):
            with pytest.raises(BadArgument, match="expected \\(name, key\\)"):
                gen_server.call(Via(registry, wrong), "hi")

    run(body)


def test_reg_20_an_unknown_registry_is_named(run: Runner) -> None:
    """REG-20: unknown registry raises "unknown registry: x"."""

    def body() -> None:
        process.register(self_pid(), "no_registry")
        for name in ("x", "no_registry"):
            for use in (
                lambda name=name: registry.register(name, "k", 1),
                lambda name=name: registry.unregister(name, "k"),
                lambda name=name: registry.lookup(name, "k"),
                lambda name=name: registry.keys(name, self_pid()),
                lambda name=name: registry.count(name),
                lambda name=name: registry.select(name, []),
                lambda name=name: registry.dispatch(name, "k", print),
                lambda name=name: registry.meta(name, "k"),
                lambda name=name: registry.whereis_name((name, "k")),
            ):
                with pytest.raises(NotRegistered, match=f"unknown registry: '{name}'"):
                    use()
        process.unregister("no_registry")
        boss = registry.start_link(keys="unique", name="x")
        assert registry.count("x") == 0
        supervisor.stop(boss)
        with pytest.raises(NotRegistered, match="unknown registry: 'x'"):
            registry.count("x")

    run(body)


def test_reg_21_listeners_hear_of_registrations_but_not_of_deaths(run: Runner) -> None:
    """REG-21: listeners get {:register,...} / {:unregister,...}; no event on owner death."""

    def body() -> None:
        me = self_pid()
        process.register(me, "listener")
        name = duplicate(listeners=["nobody", "listener"])
        registry.register(name, "k", 1)
        assert process.receive(tuple, timeout=0) == ("register", name, "k", me, 1)
        registry.register(name, "k", 2)
        process.receive(tuple, timeout=0)
        registry.unregister_match(name, "k", 1)
        nothing_more()  # it has the key still
        registry.unregister(name, "k")
        assert process.receive(tuple, timeout=0) == ("unregister", name, "k", me)
        registry.unregister(name, "k")  # as in OTP, though it had it no more
        assert process.receive(tuple, timeout=0) == ("unregister", name, "k", me)
        dying = holder(run, name, ("theirs", 1))
        assert process.receive(tuple, timeout=0) == ("register", name, "theirs", dying, 1)
        kill(dying)
        cleaned(name)
        nothing_more()
        process.unregister("listener")

    run(body)


def test_reg_22_values_are_matched_by_patterns_and_guards(run: Runner) -> None:
    """REG-22: match with patterns :_, :"$1", guards; repeated var must be equal."""

    def body() -> None:
        name, me = duplicate(), self_pid()
        values: list[Any] = [(1, 1), (1, 1.0), (1, "a"), "text", 1, True, [1], {"a": 1}]
        for value in values:
            registry.register(name, "k", value)

        def found(pattern: Any, *guards: Any) -> list[Any]:
            entries = registry.match(name, "k", pattern, list(guards))
            assert registry.count_match(name, "k", pattern, list(guards)) == len(entries)
            assert {pid for pid, _ in entries} <= {me}
            return [value for _, value in entries]

        x = Var("x")
        assert found(ANY) == values
        assert found(x) == values
        assert found((x, x)) == [(1, 1)]
        assert found((1, ANY)) == [(1, 1), (1, 1.0), (1, "a")]
        assert found((ANY,)) == []
        assert found((ANY, str)) == [(1, "a")]
        assert found((ANY, ANY), lambda value: value[1] == 1) == [(1, 1), (1, 1.0)]
        assert [type(value) for value in found(1)] == [int]
        assert found(True) == [True]
        assert found([1]) == [[1]]
        assert found([1.0]) == []
        assert found({"a": 1}) == [{"a": 1}]
        assert found(lambda value: value == "text") == ["text"]
        assert found(str, lambda value: value.startswith("x")) == []
        with pytest.raises(ZeroDivisionError):
            found(ANY, lambda value: 1 // 0)
        with pytest.raises(BadArgument, match="list of functions"):
            registry.match(name, "k", ANY, ["no function"])  # type: ignore[list-item]

    run(body)


@pytest.mark.parametrize("partitions", [1, 3])
def test_reg_22_select_makes_of_each_entry_what_its_clause_says(
    run: Runner, partitions: int
) -> None:
    """REG-22: select/count_select with patterns, guards; repeated var must be equal; bad spec
    raises."""

    def body() -> None:
        me = self_pid()
        for name in (unique(partitions), duplicate(partitions)):
            other = holder(run, name, ("theirs", 1), (5, 5))
            registry.register(name, "mine", 2)
            registry.register(name, 1.0, "float")

            def made(*spec: Any, name: str = name) -> list[Any]:
                found = registry.select(name, list(spec))
                assert registry.count_select(name, [clause[:2] for clause in spec]) == len(found)
                return found

            everything = [("theirs", other, 1), (5, other, 5), ("mine", me, 2), (1.0, me, "float")]
            whole: Any = ((KEY, PID, VALUE), [], (KEY, PID, VALUE))
            assert sorted(made(whole), key=str) == sorted(everything, key=str)
            assert sorted(made((ANY, [], lambda key, pid, value: key)), key=str) == [
                1.0,
                5,
                "mine",
                "theirs",
            ]
            assert made(((KEY, me, int), [], KEY)) == ["mine"]
            assert made(((KEY, PID, KEY), [], PID)) == [other]
            assert made(((1, ANY, ANY), [], True)) == []
            assert made(((1.0, ANY, VALUE), [], VALUE)) == ["float"]
            assert made(((KEY, ANY, int), [lambda key, pid, value: value > 4], KEY)) == [5]
            first_wins: Any = [((ANY, ANY, 2), [], "first"), ((ANY, me, ANY), [], "second")]
            assert made(*first_wins) == ["first", "second"]
            short: Any = [((KEY, PID), [], KEY)]
            bad: list[Any] = ["spec", ["clause"], [(ANY, [])], short, [(1, [], 1)]]
            for wrong in bad:
                with pytest.raises(
                    BadArgument, match=r"invalid match specification in registry\.select"
                ):
                    registry.select(name, wrong)
            with pytest.raises(BadArgument, match="no Var\\('value'\\)"):
                registry.select(name, [((KEY, ANY, ANY), [], (KEY, VALUE))])
            with pytest.raises(BadArgument, match=r"registry\.count_select"):
                registry.count_select(name, [(ANY, [], True)])  # type: ignore[list-item]

    run(body)


def test_reg_23_a_key_is_always_meant_as_it_is(run: Runner) -> None:
    """REG-23: keys that look like patterns (:_) are literal."""

    def body() -> None:
        name = duplicate()
        tricky: list[Any] = [ANY, Var("x"), str, "_", (ANY, 1), len]
        for key in [*tricky, "plain"]:
            registry.register(name, key, "v")
        for number, key in enumerate(tricky, 1):
            assert registry.lookup(name, key) == [(self_pid(), "v")]
            assert registry.count_match(name, key, ANY) == 1
            registry.unregister_match(name, key, "other")
            registry.unregister(name, key)
            assert registry.count(name) == len(tricky) + 1 - number
        assert registry.keys(name, self_pid()) == ["plain"]
        with pytest.raises(BadArgument, match=r"\[1\] is a list"):
            registry.register(name, [1], "v")

    run(body)


def test_reg_24_metadata_is_put_read_and_deleted(run: Runner) -> None:
    """REG-24: meta/put_meta {:ok, v} or :error."""

    def body() -> None:
        name = unique(meta={"given": None, 1: "int"})
        assert registry.meta(name, "given") is None
        assert registry.meta(name, 1) == "int"
        with pytest.raises(NotRegistered, match=r"no metadata 1\.0"):
            registry.meta(name, 1.0)
        registry.put_meta(name, "later", [1])
        assert registry.meta(name, "later") == [1]
        registry.delete_meta(name, "later")
        registry.delete_meta(name, "later")
        with pytest.raises(NotRegistered, match="no metadata 'later'"):
            registry.meta(name, "later")
        assert registry.meta(duplicate(meta=[("pair", 2)]), "pair") == 2

    run(body)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"keys": "other"}, "keys= to be 'unique' or 'duplicate', got: 'other'"),
    ({"partitions": 0}, "partitions= to be a positive integer, got: 0"),
    ({"partitions": True}, "partitions= to be a positive integer, got: True"),
    ({"listeners": "name"}, "listeners= to be a list of local names, got: 'name'"),
    ({"listeners": [1]}, r"listeners= to be a list of local names, got: \[1\]"),
    ({"meta": ["key"]}, r"meta= to be a dict or a list of pairs, got: \['key'\]"),
]


@pytest.mark.parametrize(("option", "told"), WRONG)
def test_reg_25_each_wrong_option_is_named(run: Runner, option: dict[str, Any], told: str) -> None:
    """REG-25: start_link validates :keys, :name, :partitions with exact messages."""

    def body() -> None:
        given: dict[str, Any] = {"keys": "unique", "name": "x", **option}
        for use in (
            lambda: registry.start_link(**given),
            lambda: registry.child_spec(**given),
            lambda: supervisor.child_spec((registry.Registry, given)),
        ):
            with pytest.raises(BadArgument, match=told):
                use()

    run(body)


def test_reg_25_the_name_is_a_local_one_and_the_childs_id(run: Runner) -> None:
    """REG-25: :name must be an atom; id defaults to name."""

    def body() -> None:
        for name in (None, 1, "", "x" * 250, Via(registry, ("a", "b"))):
            with pytest.raises(NotAName):
                registry.start_link(keys="unique", name=name)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="keys"):
            supervisor.child_spec((registry.Registry, {"name": "x"}))
        with pytest.raises(BadArgument, match="expected a dict"):
            supervisor.child_spec(registry.Registry)
        children = [
            (registry.Registry, {"keys": "unique", "name": "one"}),
            registry.child_spec(keys="duplicate", name=Runner),
        ]
        boss = supervisor.start_link(children, strategy="one_for_one")
        rows = supervisor.which_children(boss)
        assert [(row.id, row.type) for row in rows] == [
            (Runner, "supervisor"),
            ("one", "supervisor"),
        ]
        registry.register(Runner, "k", 1)
        registry.register("one", "k", 2)
        assert registry.lookup(Runner, "k") == [(self_pid(), 1)]
        assert registry.lookup("one", "k") == [(self_pid(), 2)]
        with pytest.raises(AlreadyStarted) as refused:
            registry.start_link(keys="unique", name="one")
        assert refused.value.pid == rows[1].pid

    run(body)


def test_reg_26_a_duplicate_registry_has_no_value_to_update(run: Runner) -> None:
    """REG-26: update_value on duplicate raises."""

    def body() -> None:
        name = duplicate()
        registry.register(name, "k", 1)
        with pytest.raises(BadArgument, match="not supported for duplicate registries"):
            registry.update_value(name, "k", lambda value: value)

    run(body)
