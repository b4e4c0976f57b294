"""``sys.change_code`` for supervisors: other flags and specifications, the same children."""

from typing import TYPE_CHECKING, Any

from otpy.behaviours._code_change import CodeChangeRefused
from otpy.behaviours._flags import Flags
from otpy.behaviours.results import IGNORE
from otpy.machines.restart import Child, Restarts
from otpy.terms.errors import BadChildSpec, BadFlags

if TYPE_CHECKING:
    from otpy.behaviours.supervisor import Supervisor


def change(before: type, arg: Any, module: type, state: Restarts) -> type:
    """Take over flags and specifications of another class; the class that is in charge now.

    ``before`` is Supervisor itself for one that was started with a list, which has no class to
    ask. Raises ``CodeChangeRefused``.
    """
    from otpy.behaviours.supervisor import Supervisor

    if not issubclass(module, Supervisor):
        raise CodeChangeRefused(("bad_module", f"{module!r} is not a Supervisor class"))
    flags = None if before is Supervisor else _flags(module, arg)
    if flags is None:
        return before
    _apply(flags, state)
    return module


def _flags(module: "type[Supervisor]", arg: Any) -> Flags | None:
    """What ``init`` of the class says now; None for ``IGNORE``, which changes nothing.

    Raises ``CodeChangeRefused``.
    """
    try:
        flags: Any = module().init(arg)
    except (BadFlags, BadChildSpec) as bad:
        raise CodeChangeRefused(bad.reason) from None
    if flags is IGNORE:
        return None
    if not isinstance(flags, Flags):
        raise CodeChangeRefused(("bad_return", (module, "init", flags)))
    return flags


def _apply(flags: Flags, state: Restarts) -> None:
    """Take over flags and specifications: nothing is started and nothing is stopped.

    A child that is not among them any more stays, after the others.
    """
    state.strategy = flags.strategy
    state.max_restarts, state.max_seconds = flags.max_restarts, flags.max_seconds
    state.auto_shutdown = flags.auto_shutdown
    before = state.children
    state.children = {}
    for spec in flags.children:
        child = before.pop(spec.id, None) or Child(spec.id)
        child.restart, child.significant, child.spec = spec.restart, spec.significant, spec
        state.children[spec.id] = child
    state.children.update(before)
