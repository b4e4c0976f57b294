"""As many as there are CPUs: the default of whatever works side by side."""

import os


def usable_cpus() -> int:
    """The CPUs that this OS process may use, at least 1: ``schedulers_online``.

    Those of its affinity mask, which ``taskset`` and containers narrow, where there is one.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
