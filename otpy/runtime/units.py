"""Time is float seconds everywhere; these read well: ``minutes(1)``."""


def seconds(n: float) -> float:
    """``n`` seconds."""
    return float(n)


def minutes(n: float) -> float:
    """``n`` minutes in seconds."""
    return 60.0 * n


def hours(n: float) -> float:
    """``n`` hours in seconds."""
    return 3600.0 * n
