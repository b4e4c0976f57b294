"""The public names: adding or removing one is a decision, seen in this file."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType

import pytest

import otpy
from otpy import (
    agent,
    aio,
    application,
    asgi,
    dynamic_supervisor,
    erpc,
    gen_server,
    gen_statem,
    global_,
    node,
    partition_supervisor,
    pg,
    process,
    registry,
    rpc,
    supervisor,
    sys,
    task,
    task_supervisor,
    testing,
    timer,
)
from otpy.runtime import _current
from otpy.testing import faults

OTPY = """
AddressInUse Agent AlreadyRegistered AlreadyStarted Application ApplicationError ApplicationSpec At
BadArgument BadChildSpec BadFlags Busy CallExit CallResult CallTimeout ChildError ChildSpec
ClusterNotReady ClusterReady Crash Creation Dns Done Down DynamicSupervisor Exit Exited From
GenServer GenStatem Global Gossip GroupJoin GroupLeave IGNORE Ignored InitResult KILL KILLED
LocalDirectory NOCONNECTION NOPROC NORMAL NameFree NameTaken Next NoProcess NoReply Node NodeDown
NodeError NodeForked NodeNameTaken NodeStopped NodeUp NotAName NotDistributed NotRegistered
NotSendable NotSimulated Ok OtpyError PartitionSupervisor Pid ProcessExit QuorumError ReceiveTimeout
Ref RemoteError RemoteTimeout Reply Request Response SHUTDOWN SpawnReply StartError Static Stop
Supervisor Task TaskSupervisor Timeout TimerCancelled TimerFired TimerRead Via WeakCookie
WouldBlockLoop __version__ actor_ref agent aio application asgi cluster_ready discovery
dynamic_supervisor erpc gen_server gen_statem global_ hours make_ref minutes node
partition_supervisor pg process pykka_child registry rpc seconds self_pid start_mesh start_node
supervisor sys task task_supervisor timer
"""
MODULES = [
    (
        process,
        """
        AliasMode Dest actor_ref alias alive await_coroutine blocking cancel_timer
        controlling_process delete demonitor disown exit flag get get_keys info link list_
        make_ref monitor monotonic_time own put read_timer receive register registered self_pid
        send send_after sleep spawn spawn_link spawn_monitor spawn_request start_timer unalias
        unlink unregister whereis
        """,
    ),
    (
        gen_server,
        """
        CallResult From GenServer InitResult Next Request RequestId RequestIds abcast call cast
        check_response enter_loop multi_call receive_response reply reqids_add reqids_new
        reqids_size reqids_to_list send_request start start_link start_monitor stop wait_response
        whereis
        """,
    ),
    (
        supervisor,
        """
        ChildCount ChildInfo ChildSpec Flags Supervisor child_spec count_children delete_child
        get_callback_module get_childspec init restart_child start_child start_link stop
        terminate_child which_children
        """,
    ),
    (
        node,
        """
        View Which alive connect disconnect list_ monitor monitor_nodes ping self_ spawn
        spawn_link spawn_monitor spawn_request start stop view
        """,
    ),
    (
        application,
        """
        Application ApplicationInfo ApplicationSpec config_change delete_env ensure_all_started
        ensure_loaded ensure_started fetch_env fetch_env_ get_all_env get_application get_env
        get_key load loaded_applications prep_config_change put_all_env put_env spec start
        started_applications stop unload which_applications
        """,
    ),
    (
        sys,
        """
        change_code get_state get_status install log log_to_file no_debug remove replace_state
        resume statistics suspend terminate trace
        """,
    ),
    (
        global_,
        """
        Lease LockId NO_TOKEN NoToken Resolver add_member del_lock disconnect lease members
        monitor_name notify_all_name random_exit_name random_notify_name re_register_name
        register_name registered_names remove_member send set_lock start sync trans
        unregister_name whereis_name
        """,
    ),
    (
        pg,
        """
        GroupJoin GroupLeave child_spec demonitor get_local_members get_members join leave
        monitor monitor_scope start start_link which_groups which_local_groups
        """,
    ),
    (
        aio,
        """
        agent attached blocking call cast connect disconnect dynamic_supervisor enter_loop erpc
        gen_statem multi_call partition_supervisor ping receive receive_response registry rpc
        sleep spawn spawn_link spawn_monitor start start_link start_monitor stop supervisor sys
        task task_supervisor view wait_response
        """,
    ),
    (
        aio.supervisor,
        """
        count_children delete_child get_callback_module get_childspec restart_child start_child
        start_link stop terminate_child which_children
        """,
    ),
    (
        aio.sys,
        """
        change_code get_state get_status install log log_to_file no_debug remove replace_state
        resume statistics suspend terminate trace
        """,
    ),
    (
        aio.erpc,
        """
        call multicall receive_response wait_response
        """,
    ),
    (
        aio.rpc,
        """
        block_call call multicall nb_yield yield_
        """,
    ),
    (
        aio.registry,
        """
        dispatch start_link
        """,
    ),
    (
        gen_statem,
        """
        Action Actions Call CancelEventTimeout CancelStateTimeout CancelTimeout Cast
        ChangeCallbackModule Enter EventTimeout EventType From GenStatem Hibernate IGNORE Info
        InitResult Internal KeepState KeepStateAndData NamedTimeout NextEvent NextState Ok
        PopCallbackModule Postpone PushCallbackModule RepeatState RepeatStateAndData Reply
        Request RequestId RequestIds Result SetEventTimeout SetStateTimeout SetTimeout
        StateTimeout Stop StopAndReply TimeoutType UpdateEventTimeout UpdateStateTimeout
        UpdateTimeout call cast check_response enter_loop receive_response reply reqids_add
        reqids_new reqids_size reqids_to_list send_request start start_link start_monitor stop
        wait_response whereis
        """,
    ),
    (
        dynamic_supervisor,
        """
        ChildCount ChildInfo ChildSpec DynamicSupervisor Flags child_spec count_children init
        start_child start_link stop terminate_child which_children
        """,
    ),
    (
        partition_supervisor,
        """
        ChildCount ChildInfo PartitionSupervisor count_children partitions register_name resize
        send start_link stop unregister_name whereis_name which_children
        """,
    ),
    (
        registry,
        """
        ANY Registry Var child_spec count count_match count_select delete_meta dispatch keys
        lookup match meta put_meta register register_name select send start_link unregister
        unregister_match unregister_name update_value values whereis_name
        """,
    ),
    (
        agent,
        """
        Agent cast child_spec get get_and_update start start_link stop update
        """,
    ),
    (
        task,
        """
        Done Exited Task async_ async_stream await_ await_many child_spec completed ignore
        shutdown start start_link yield_ yield_many
        """,
    ),
    (
        task_supervisor,
        """
        Task TaskSupervisor async_ async_nolink async_stream async_stream_nolink child_spec
        children start_child start_link stop terminate_child
        """,
    ),
    (
        asgi,
        """
        Lifespan end_server lifespan running
        """,
    ),
    (
        aio.dynamic_supervisor,
        """
        count_children start_child start_link stop terminate_child which_children
        """,
    ),
    (
        aio.partition_supervisor,
        """
        count_children resize start_link stop which_children
        """,
    ),
    (
        aio.agent,
        """
        cast get get_and_update start start_link stop update
        """,
    ),
    (
        aio.task,
        """
        async_ async_stream await_ await_many completed ignore shutdown yield_ yield_many
        """,
    ),
    (
        aio.task_supervisor,
        """
        async_ async_nolink async_stream async_stream_nolink children start_child start_link stop
        terminate_child
        """,
    ),
    (
        aio.gen_statem,
        """
        call cast enter_loop receive_response reply start start_link start_monitor stop
        wait_response
        """,
    ),
    (
        timer,
        """
        TRef apply_after apply_interval cancel exit_after hms hours kill_after minutes seconds
        send_after send_interval sleep tc
        """,
    ),
    (
        erpc,
        """
        RequestId RequestIds call cast check_response multicall multicast receive_response
        reqids_add reqids_new reqids_size reqids_to_list send_request wait_response
        """,
    ),
    (
        testing,
        """
        Cluster ClusterFailed ClusterSimulation Disk Reports Simulation SimulationFailed
        assert_receive assert_received capture_log catch_exit disk eventually refute_receive
        refute_received simulate with_log
        """,
    ),
    (
        rpc,
        """
        BadRpc async_call block_call call cast eval_everywhere multicall nb_yield yield_
        """,
    ),
    (
        faults,
        """
        Break ClockSkew Crash Fault KINDS OneWay Partition Pause SKEW Schedule draw_fault
        draw_schedule lasts
        """,
    ),
]


# What waits and has no function of its own in aio: why, and what stands there for it.
BY_BLOCKING = {"application", "global_", "pg"}  # await aio.blocking(global_.sync, ...)
WITHOUT_TWIN = {
    "process.await_coroutine",  # await, and the coroutine itself
    "timer.send_interval",  # what waits is the process that it starts
}
PLAIN = [
    name
    for name in dir(otpy)
    if isinstance(getattr(otpy, name), ModuleType) and name not in ("aio", "asgi")
]
WAITS = {_current.waiter, _current.check_may_wait}  # whatever waits asks one of them first


def codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of those within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def mentioned(function: FunctionType) -> Iterator[FunctionType]:
    """The functions that a function names, of its own module and of others."""
    names = [name for code in codes(function.__code__) for name in code.co_names]
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, FunctionType):
            yield value
        elif isinstance(value, ModuleType) and value.__name__.startswith("otpy."):
            found = [vars(value).get(other) for other in names]
            yield from (other for other in found if isinstance(other, FunctionType))


def waits(function: FunctionType, seen: set[FunctionType]) -> bool:
    """Whether a function of otpy waits, by itself or in what it calls."""
    if function in WAITS:
        return True
    if function in seen or not function.__module__.startswith("otpy."):
        return False
    seen.add(function)
    return any(waits(other, seen) for other in mentioned(function))


def waiting(name: str) -> list[str]:
    """The public functions of a module that wait."""
    module = getattr(otpy, name)
    functions = {key: getattr(module, key) for key in module.__all__}
    return [
        key
        for key, value in functions.items()
        if isinstance(value, FunctionType) and waits(value, set())
    ]


def aio_of(name: str) -> ModuleType:
    """The module of ``aio`` that stands for a module."""
    found: ModuleType = getattr(aio, name, aio)
    return found


def test_what_waits_is_seen() -> None:
    assert set(waiting("process")) == {"await_coroutine", "blocking", "receive", "sleep"}
    assert "cast" not in waiting("gen_server")


@pytest.mark.parametrize("name", [name for name in PLAIN if name not in BY_BLOCKING])
def test_whatever_waits_can_be_awaited_under_the_same_name(name: str) -> None:
    twins = aio_of(name)
    missing = [
        key
        for key in waiting(name)
        if key not in twins.__all__ and f"{name}.{key}" not in WITHOUT_TWIN
    ]
    assert missing == []


AIO = sorted(name for _, name, _ in pkgutil.iter_modules(aio.__path__) if name[0] != "_")


@pytest.mark.parametrize("name", AIO)
def test_a_module_of_aio_lists_its_names_in_order(name: str) -> None:
    module = importlib.import_module(f"otpy.bridges.aio.{name}")
    assert module.__all__ == sorted(module.__all__)
    assert name in aio.__all__
    plain = getattr(otpy, name).__all__
    own = {
        key for key in plain if getattr(vars(module).get(key), "__module__", "") == module.__name__
    }
    assert own <= set(module.__all__) <= set(plain)
    assert module in [listed for listed, _ in MODULES]


def test_the_names_of_otpy() -> None:
    assert dir(otpy) == sorted(OTPY.split())


def test_a_star_import_gives_every_name_of_otpy() -> None:
    given: dict[str, object] = {}
    exec("from otpy import *", given)
    assert {*given} - {"__builtins__"} == {*OTPY.split()} - {"__version__"}


@pytest.mark.parametrize(("module", "names"), MODULES)
def test_the_names_of_a_module(module: ModuleType, names: str) -> None:
    assert sorted(module.__all__) == sorted(names.split())


@pytest.mark.parametrize("name", dir(otpy))
def test_every_name_of_otpy_is_there(name: str) -> None:
    assert getattr(importlib.import_module("otpy"), name) is not None


@pytest.mark.parametrize("module", [module for module, _ in MODULES])
def test_every_name_of_a_module_is_there_and_explained(module: ModuleType) -> None:
    for name in module.__all__:
        value = getattr(module, name)
        explains = inspect.isroutine(value) or inspect.isclass(value)
        assert value.__doc__ or not explains, name
