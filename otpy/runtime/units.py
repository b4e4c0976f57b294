"""Time is float seconds everywhere; these read well: ``minutes(1)``. They raise ``BadArgument``."""

from otpy.runtime.arguments import check_number


def seconds(n: float) -> float:
    """``n`` seconds."""
    check_number("seconds", n)
    return float(n)


def minutes(n: float) -> float:
    """``n`` minutes in seconds."""
    check_number("minutes", n)
    return 60.0 * n


def hours(n: float) -> float:
    """``n`` hours in seconds."""
    check_number("hours", n)
    return 3600.0 * n
