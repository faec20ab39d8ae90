"""docs/retention.md's generated part: the retention schedule for readers (R23).

`python -m tools.desk.retention.page` writes it into the page.
"""

from pathlib import Path
from typing import Final

from tools.desk.retention.schedule import ITEMS, Item, Schedule, default_path, read_schedule

PAGE: Final = Path(__file__).resolve().parents[3] / "docs/retention.md"
BEGIN: Final = "<!-- schedule: begin -->"
END: Final = "<!-- schedule: end -->"


def page(schedule: Schedule, text: str) -> str:
    """Return a page with the schedule between its two marks, replacing what stood there."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(schedule)}\n{END}{after}"


def table(schedule: Schedule) -> str:
    """Return the schedule in Markdown: what is kept, and the deadlines of requests."""
    head = (
        "| what, and where | kept | at most | counted from | erased by | why |",
        "|---|---|---|---|---|---|",
    )
    rows = (_row(name, schedule.item(name)) for name in ITEMS)
    limits = schedule.deadlines
    deadlines = (
        f"Requests of the people concerned are answered within {limits.answer} of the day on which "
        f"they were received. Once, with a reason, {limits.extension} more can be taken. "
        f"{limits.due_soon} before the deadline the list of requests says that it is near."
    )
    return "\n".join((*head, *rows, "", deadlines))


def _row(name: str, item: Item) -> str:
    longest = item.maximum
    if item.exceptional is not None:
        longest += f"; no setting takes more than {item.exceptional}"
    cells = (
        f"**{item.what}**, in {item.where} (`{name}`)",
        item.keep,
        longest,
        item.counted_from,
        f"a {item.erased_by}: {item.how}",
        item.why,
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(read_schedule(default_path()), PAGE.read_text("utf-8")), "utf-8")
