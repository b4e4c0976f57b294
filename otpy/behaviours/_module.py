"""What the classes of all behaviours share: their options, child spec and kind of process."""

import inspect
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Unpack, get_args

from otpy.behaviours._code_change import CodeChangeRefused
from otpy.behaviours.child_spec import ChildOptions, ChildSpec, check, keyed, of_class
from otpy.runtime.arguments import check_flag
from otpy.terms.errors import BadArgument, BadChildSpec
from otpy.terms.pid import Pid

OPTIONS = ("green", "restart", "shutdown", "significant", "id")
Interrupt = Literal["once", "never"]


class ChildClass:
    """A class that can be a child, and whose options say how."""

    child_options: ClassVar[dict[str, Any]] = {}
    own_options: ClassVar[tuple[str, ...]] = ()  # that the behaviour adds, for the error's text

    def __init_subclass__(cls, **options: Unpack[ChildOptions]) -> None:
        super().__init_subclass__()
        unknown = sorted(set(options) - {*OPTIONS})
        if unknown:
            *most, last = (*cls.own_options, *OPTIONS)
            raise BadArgument(
                f"class {cls.__name__} got the option {unknown[0]!r}; expected "
                f"{', '.join(most)} or {last}"
            )
        cls.child_options = {**cls.child_options, **options}
        made: dict[str, Any] = {"id": cls, "start": (cls.start_link, ()), **cls.child_options}
        try:
            keyed(check(ChildSpec(**made)))
        except BadChildSpec as bad:
            raise BadChildSpec(bad.reason, f"class {cls.__name__}: {bad}") from None

    @classmethod
    def start_link(cls, arg: Any, /) -> Pid:
        """Start it without a name; override to give one."""
        raise NotImplementedError

    @classmethod
    def child_spec(cls, arg: Any, /) -> Any:
        """The child specification for a supervisor."""
        return of_class(cls, arg)


class FunctionClass(ChildClass):
    """A class of which one function runs in the process: an agent's or a task's."""

    green: ClassVar[bool] = False

    def __init_subclass__(
        cls, *, green: bool | None = None, **options: Unpack[ChildOptions]
    ) -> None:
        super().__init_subclass__(**options)
        if green is not None:
            check_flag(f"class {cls.__name__}: green", green)
            cls.green = green


class CallbackModule(ChildClass):
    """A class of callbacks: what a behaviour's module is in Erlang."""

    kind: ClassVar[str] = "thread"
    is_async: ClassVar[bool] = False
    refuses: ClassVar[bool] = False  # a reply that cannot be sent is refused, and not its end
    ends_in_order: ClassVar[bool] = False  # by ``terminate`` when its parent ends it, untrapped
    interrupt: ClassVar[Interrupt] = "once"  # a thread that computes on after its process's end
    own_options: ClassVar[tuple[str, ...]] = ("interrupt",)

    def __init_subclass__(
        cls,
        *,
        green: bool | None = None,
        kernel: bool = False,
        interrupt: Interrupt | None = None,
        **options: Unpack[ChildOptions],
    ) -> None:
        super().__init_subclass__(**options)
        if green is not None:
            check_flag(f"class {cls.__name__}: green", green)
        if interrupt is not None:
            if interrupt not in get_args(Interrupt):
                raise BadArgument(
                    f"class {cls.__name__}: interrupt={interrupt!r}; expected 'once' or 'never'"
                )
            cls.interrupt = interrupt
        cls.is_async = any(inspect.iscoroutinefunction(getattr(cls, x)) for x in cls.callbacks())
        if cls.is_async:
            cls.kind = "async"
        elif kernel:
            cls.kind = "kernel"
        elif green is not None:
            cls.kind = "green" if green else "thread"

    @classmethod
    def callbacks(cls) -> Iterable[str]:
        """The names of the callbacks that may be coroutine functions."""
        raise NotImplementedError

    def succeeded_by(self, module: type[Any]) -> "CallbackModule":
        """The object of a class that takes over, before there is a state to take over.

        Raises ``CodeChangeRefused``.
        """
        raise CodeChangeRefused(("not_supported", type(self).__qualname__))

    def changed_to(
        self, module: type[Any], old_vsn: Any, state: Any, extra: Any
    ) -> "tuple[CallbackModule, Any]":
        """What ``sys.change_code`` makes of it: the new callbacks and state."""
        raise CodeChangeRefused(("not_supported", type(self).__qualname__))

    def callback_class(self) -> type:
        """The class whose ``init`` reports name as the initial call."""
        return type(self)

    def initial_call(self) -> str:
        """What reports and ``process.info`` name as the beginning: the class's ``init``."""
        cls = self.callback_class()
        return f"{cls.__module__}.{cls.__qualname__}.init"


class SupervisorClass(CallbackModule):
    """A class of supervisors: it has ``init``, which a process of otpy's own calls."""

    @classmethod
    def callbacks(cls) -> Iterable[str]:
        return ()
