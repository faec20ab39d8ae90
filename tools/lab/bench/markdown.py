"""The few pieces of Markdown that the page is put together from."""

from collections.abc import Sequence
from statistics import median


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; nothing without rows."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def number(value: float) -> str:
    """Return a number with three digits that count: 0.0123, 1.23, 12.3, 1,234."""
    size = abs(value)
    if size >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    if size >= 10:  # noqa: PLR2004
        return f"{value:.1f}"
    if size >= 1 or size == 0:
        return f"{value:.2f}"
    return f"{value:.3f}" if size >= 0.1 else f"{value:.4f}"  # noqa: PLR2004


def spread(values: Sequence[float]) -> str:
    """Return the median, and the lowest and highest of the repeats: "3.10 (2.95–3.41)"."""
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})"


def interval(low: float, high: float) -> str:
    """Return "12–34", a range of numbers."""
    return f"{number(low)}–{number(high)}"
