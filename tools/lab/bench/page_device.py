"""The page's sections about the device by itself: steps, search, idle, memory, threads, inputs."""

from statistics import median
from typing import Any

from tools.lab.bench.markdown import interval, number, spread, table

Found = dict[str, Any]


def steps(found: Found) -> str:
    """Return the section about each step alone."""
    rows = [[name, spread(values)] for name, values in found["steps"].items()]
    return (
        "## Each step alone\n\n"
        "CPU milliseconds of one call, one thread: the median of repeats that took turns, and the "
        "lowest and highest of them. A Pi camera's streams: main 2304×1296, small 640×360, "
        "I420.\n\n" + table(["step", "ms"], rows)
    )


def search(found: Found) -> str:
    """Return the section about the comparison as a list grows."""
    by_name: dict[str, dict[str, list[float]]] = found["search"]
    sizes = sorted({int(size) for figures in by_name.values() for size in figures})
    rows = [
        [f"{size:,}", *(_cell(figures.get(str(size))) for figures in by_name.values())]
        for size in sizes
    ]
    return (
        "## Searching a list\n\n"
        "CPU microseconds to compare one probe with a whole list (256 numbers per template, "
        "normalised scores, threshold and margin). A protected list, the one that a signed "
        "deployment has, ends at the cap of 2,000; the larger ones show what the method would "
        "do.\n\n" + table(["references", *by_name], rows)
    )


def _cell(values: list[float] | None) -> str:
    return spread(values) if values else ""


def idle(found: Found) -> str:
    """Return the section about a street in which nothing moves."""
    rows = [[name, spread(values)] for name, values in found["idle"].items()]
    return (
        "## Nobody there\n\n"
        "CPU microseconds per frame while nothing moves, from the frame's arrival to its wiped "
        "buffers. Overwriting the camera's buffers (R13) is most of what is left, and is never "
        "turned off; the lines without it show what the motion gate itself saves.\n\n"
        + table(["frames", "µs per frame"], rows)
    )


def allocations(found: Found) -> str:
    """Return the section about memory that is taken per frame."""
    rows = [[name, str(count)] for name, count in found["allocations"].items()]
    return (
        "## Memory taken per frame\n\n"
        "How often one line of our code took 64 KiB or more in the steady state (tracemalloc, "
        "which sees NumPy's and OpenCV's arrays), summed over eight frames of each scene.\n\n"
        + table(["scene", "allocations"], rows)
    )


def sweep(found: Found) -> str:
    """Return the section about threads."""
    rows = [
        [name, threads, spread(cost["wall_ms"]), spread(cost["cpu_ms"])]
        for name, by_threads in found["sweep"].items()
        for threads, cost in by_threads.items()
    ]
    return (
        "## Threads\n\n"
        "What a second thread buys in time and costs in CPU. `models.threads = 0` makes such a "
        "measurement at the first start and keeps its result for the board.\n\n"
        + table(["network", "threads", "wall ms", "CPU ms"], rows)
    )


def depths(found: Found) -> str:
    """Return the section about the detector's input and how far it sees."""
    rows = [
        [
            each["name"],
            f"{each['width']}×{each['height']}",
            number(each["mmac"]),
            spread(each["cpu_ms"]),
            f"{each['reach_m']:.1f} m",
            f"{each['usual_reach_m']:.1f} m",
        ]
        for each in found["depths"]
    ]
    return (
        "## The detector's input and how far it sees\n\n"
        "A face 150 mm wide must be 16 pixels wide in the input; lens 66°. The last column is with "
        "the default small stream of 640 pixels, the one before with a small stream as wide as the "
        "input.\n\n"
        + table(["detector", "input", "million MAC", "CPU ms", "reach", "with 640"], rows)
    )


def forgetting(found: Found) -> str:
    """Return the section about what forgetting costs."""
    costs: dict[str, dict[str, list[float]]] = found["forgetting"]
    base = costs["nothing of it"]
    rows = [
        [
            name,
            *(
                f"{spread(values)} ×{median(values) / median(base[place]):.2f}"
                for place, values in places.items()
            ),
        ]
        for name, places in costs.items()
    ]
    return (
        "## What forgetting costs\n\n"
        "CPU milliseconds per frame with each protection on and off "
        "([how everyone else is forgotten](forgetting.md)), and the ratio to none of them. Every "
        "face of every frame is a new one that is compared.\n\n"
        + table(["protections", *base], rows)
    )


def estimate(found: Found) -> str:
    """Return the section about a Pi."""
    rows = [_estimated(name, each) for name, each in found["estimate"].items()]
    anchors = [
        [
            name,
            spread(values),
            number(published["ms"]),
            f"≤ {published['threads']}",
            published["source"],
        ]
        for name, values in found["anchors"].items()
        if (published := found["published"].get(name)) is not None
    ]
    return (
        "## What a Pi would need: an estimate\n\n"
        "**Nothing here was measured on a Pi.** A range is the span of two ways to one: "
        "multiply-accumulates over the published rate of one Cortex-A72 core, and "
        "published figures of programs that also ran here, times what ours takes beside them. "
        "Where those were taken with four threads, one thread takes up to four times as long. "
        "The sources are in [tools/lab/bench/estimate.py](../tools/lab/bench/estimate.py). "
        "`passerby-lab bench --board` prints a real board's figures: please send them back.\n\n"
        + table(["stage, one core", "here, ms", "million MAC", "Pi 4, ms", "Pi 5, ms"], rows)
        + "\nPublished figures that the ratios come from:\n\n"
        + table(["program", "here, ms", "published on a Pi 4, ms", "threads", "source"], anchors)
    )


def _estimated(name: str, each: dict[str, Any]) -> list[str]:
    mmac = each["mmac"]
    return [
        name,
        number(each["here_ms"]),
        "" if mmac is None else number(mmac),
        interval(each["pi4_ms"]["low"], each["pi4_ms"]["high"]),
        interval(each["pi5_ms"]["low"], each["pi5_ms"]["high"]),
    ]
