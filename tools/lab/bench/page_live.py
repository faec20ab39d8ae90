"""The page's sections about the whole appliance, as `passerby run` in real time."""

from typing import Any

from tools.lab.bench.markdown import number, table

Found = dict[str, Any]
_HEAD = ["", "samples", "p50", "p95", "p99", "most"]


def live(found: Found) -> str:
    """Return the sections; a part that was not run is left out."""
    parts = [_starts(found), _delivery(found), _twenty(found), _memory(found), _soak(found)]
    written = "\n".join(part for part in parts if part)
    if not written:
        return ""
    return (
        "## The whole appliance\n\n"
        "`passerby run` in real time: 15 frames a second from a program that behaves as a Pi's "
        "camera does, a real broker, the real gateway with receipts, sealing as it ships. Rendered "
        "people.\n\n" + written
    )


def _spread(name: str, of: dict[str, float]) -> list[str]:
    figures = (number(of[key]) for key in ("p50", "p95", "p99", "most"))
    return [name, f"{of['number']:,.0f}", *figures]


def _starts(found: Found) -> str:
    rows = [
        [
            f"{each['list_size']:,}",
            str(len(each["warm"])),
            f"{each['median_s']:.2f} ({each['least_s']:.2f}–{each['most_s']:.2f})",
            f"{each['median_said_s']:.2f}",
            f"{each['median_cpu_s']:.2f}",
            f"{each['first']['seconds']:.2f}",
        ]
        for key in ("ready", "ready, 2000")
        if (each := found.get(key))
    ]
    if not rows:
        return ""
    return (
        "### Ready after start\n\n"
        "Seconds from the start of the program until its first frame was processed.\n\n"
        + table(
            ["references", "starts", "seconds", "as it says", "CPU seconds", "very first start"],
            rows,
        )
    )


def _delivery(found: Found) -> str:
    rows = []
    for key in ("latency", "latency, x25519", "latency, cover"):
        each = found.get(key)
        if each is None:
            continue
        seen, sent = each["seen"], each["delivery"]
        name = f"{seen['suite']}, cover {seen['cover']}"
        rows.append(_spread(f"received; {name}", sent["received_ms"]))
        rows.append(_spread(f"receipt back; {name}", sent["receipted_ms"]))
    if not rows:
        return ""
    sent = found["latency"]["delivery"]
    p99 = sent["received_p99_ms"]
    said = ""
    if p99 is not None:
        said = (
            f"The 99th percentile is {number(p99['value'])} ms (95 % interval "
            f"{number(p99['low'])}–{number(p99['high'])}, {sent['received']} alerts of "
            f"{sent['raised']} raised). "
        )
    return (
        "### From the camera to the desk\n\n"
        f"{said}Milliseconds from the capture of the frame that confirmed a candidate until the "
        "gateway handed the alert out, and until the desk's signed receipt had emptied the outbox. "
        "With cover an alert waits for its turn.\n\n" + table(_HEAD, rows)
    )


def _ages(each: Found) -> list[list[str]]:
    rows = []
    for name, part in each["stretches"].items():
        rows.append(_spread(f"{name}: age when begun, ms", part["began_ms"]))
        rows.append(_spread(f"{name}: age when ended, ms", part["ended_ms"]))
        rows.append(_spread(f"{name}: CPU of a frame, ms", part["work_ms"]))
    return rows


def _twenty(found: Found) -> str:
    each = found.get("twenty")
    if each is None:
        return ""
    camera = each["seen"]["ended"]["camera"]
    return (
        "### Twenty faces at once\n\n"
        f"{each['minutes']:.1f} minutes, {camera['ticks']:,} frames given, "
        f"{len(each['seen']['frames']):,} processed, {each['late']} wiped unread because they were "
        f"too old. Alerts that waited: {each['delivery']['waiting_most']} at most, "
        f"{each['delivery']['waiting_end']} at the end.\n\n" + table(_HEAD, _ages(each))
    )


def _memory(found: Found) -> str:
    rows = []
    for key in ("memory", "twenty", "soak"):
        each = found.get(key)
        if each is not None:
            had = each["memory"]
            figures = (had["start_mb"], had["end_mb"], had["most_mb"], had["buffers_mb"])
            size = f"{each['seen']['list_size']:,}"
            rows.append([f"{key}, {size} references", *(number(value) for value in figures)])
    if not rows:
        return ""
    return (
        "### Memory\n\nMB resident (10⁶ bytes); the camera's own buffers are the driver's on a "
        "Pi, and stand apart.\n\n"
        + table(["run", "at the start", "at the end", "at most", "camera's buffers"], rows)
    )


def _soak(found: Found) -> str:
    each = found.get("soak")
    if each is None:
        return ""
    growth = each["memory"]["growth_mb_h"]
    grown = "not known"
    if growth is not None:
        grown = (
            f"{growth['value']:.2f} MB an hour (95 % interval {growth['low']:.2f} to "
            f"{growth['high']:.2f})"
        )
    cores = ", ".join(
        f"{name} {100 * part['core']:.1f} %" for name, part in each["stretches"].items()
    )
    sent = each["delivery"]
    low, high = each["descriptors"]
    return (
        f"### {each['minutes']:.0f} minutes of everything\n\n"
        f"Memory grew by {grown}. Share of one core: {cores}. {sent['raised']} alerts raised, "
        f"{sent['received']} received. Open descriptors {low} to {high}; {each['late']} frames "
        "were too old.\n\n" + table(_HEAD, _ages(each))
    )
