"""The few pieces of HTML that the page is put together from; every text is escaped here."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from tools.lab.evaluate.figures import Figure, NotEvaluated, Rate, bare, percent

STYLE = Path(__file__).with_name("page.css").read_text("utf-8")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def cell(value: object) -> Html:
    """Return a table's cell: figures with their interval, everything else as escaped text."""
    if isinstance(value, NotEvaluated):
        return Html(f'<td class="no" title="{escape(value.why)}">not evaluated</td>')
    if isinstance(value, Rate):
        return Html(f"<td>{figure(value)}</td>")
    if isinstance(value, Html):
        return value if value.startswith("<td") else Html(f"<td>{value}</td>")
    return Html(f"<td>{escape(str(value))}</td>")


def figure(value: Figure) -> Html:
    """Return a figure with its interval below it, and how many errors or people stand behind it."""
    if isinstance(value, NotEvaluated):
        return Html(f'<span class="no">not evaluated: {escape(value.why)}</span>')
    if value.method == "rule of three":
        if value.events == 0:
            return Html(f"0<small>at most {percent(value.high)}, n = {value.subjects:,}</small>")
        return Html(f"100 %<small>at least {percent(value.low)}, n = {value.subjects:,}</small>")
    return Html(
        f"{percent(value.value)}<small>{bare(value.low)}–{bare(value.high)}, "
        f"n = {value.subjects:,}</small>"
    )


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    caption: str = "",
    *,
    narrow: bool = False,
) -> Html:
    """Return a table that scrolls by itself where the page is narrow; nothing without rows.

    narrow: no wider than it must be.
    """
    if not rows:
        return Html("")
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(cell(value) for value in row)}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    kind = ' class="narrow"' if narrow else ""
    return Html(
        f'<div class="scroll"><table{kind}>{title}<thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def section(title: str, *parts: str) -> Html:
    """Return a section; plain text among the parts becomes paragraphs."""
    return Html(
        f"<section><h2>{escape(title)}</h2>{''.join(_block(part) for part in parts)}</section>"
    )


def part(title: str, *parts: str) -> Html:
    """Return a part of a section."""
    return Html(f"<h3>{escape(title)}</h3>{''.join(_block(part) for part in parts)}")


def _block(text: str) -> str:
    return text if isinstance(text, Html) else paragraph(text)


def paragraph(text: str) -> Html:
    """Return a paragraph; nothing for no text."""
    return Html(f"<p>{escape(text)}</p>" if text else "")


def cards(items: Sequence[tuple[str, str, str]]) -> Html:
    """Return the main figures: name, figure, remark of each."""
    inside = "".join(
        f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b>'
        f"<span>{escape(remark)}</span></div>"
        for name, value, remark in items
    )
    return Html(f'<div class="cards">{inside}</div>')


def note(text: str) -> Html:
    """Return a remark that must not be overlooked."""
    return Html(f'<p class="note">{escape(text)}</p>')


def facts(pairs: Sequence[tuple[str, object]]) -> Html:
    """Return names and values."""
    inside = "".join(
        f"<dt>{escape(name)}</dt><dd>{v if isinstance(v, Html) else escape(str(v))}</dd>"
        for name, v in pairs
    )
    return Html(f"<dl>{inside}</dl>")
