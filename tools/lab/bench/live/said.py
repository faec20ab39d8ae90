"""The figures of the whole appliance in plain lines."""

from tools.lab.bench.live.figures import Interval, Spread
from tools.lab.bench.live.workloads import Run, Starts


def lines(found: Run | Starts) -> list[str]:
    """Return the figures in lines, indented."""
    told = _starts(found) if isinstance(found, Starts) else _run(found)
    return [f"  {line}" for line in told]


def _starts(found: Starts) -> list[str]:
    first = found.first
    return [
        f"list of {found.list_size:,}; {len(found.warm)} starts after a first one",
        f"from the process's start: first {first.seconds:.2f} s, median {found.median_s:.2f} s",
        f"the slowest of them {found.most_s:.2f} s, the fastest {found.least_s:.2f} s",
        f"without what other programs took of the cores: median {found.median_alone_s:.2f} s",
        f"as it says itself: first {first.said_s:.2f} s, then median {found.median_said_s:.2f} s",
        f"processor time until then: first {first.cpu_s:.2f} s, median {found.median_cpu_s:.2f} s",
    ]


def _run(found: Run) -> list[str]:
    had, seen, sent = found.memory, found.seen, found.delivery
    camera = seen.ended.camera
    told = [
        f"{found.minutes:.1f} minutes, list of {seen.list_size:,}, {seen.broker}, {seen.suite}",
        f"cover {seen.cover}; ready after {seen.ready_s[1]:.2f} s; load {seen.load:.1f}",
        f"memory at the start {had.start_mb:.1f} MB, after a tenth {had.tenth_mb:.1f} MB",
        f"memory at the end {had.end_mb:.1f} MB, at most {had.most_mb:.1f} MB",
        f"camera buffers beside it {had.buffers_mb:.1f} MB",
        f"growth {_interval(had.growth_mb_h, 'MB/h')}",
        (
            f"ticks {camera.ticks}, processed {len(seen.frames)}, too old {found.late}, "
            f"superseded {found.superseded}"
        ),
        f"without a buffer {camera.starved}, unasked {camera.unasked}, bench slept {camera.slept}",
        f"alerts raised {sent.raised}, received {sent.received}",
        f"alerts that wait: {sent.waiting_end} at the end, {sent.waiting_most} at most",
        f"captured to on the disk: {_spread(sent.queued_ms)}",
        f"captured to received: {_spread(sent.received_ms)}",
        f"captured to received, p99: {_interval(sent.received_p99_ms, 'ms')}",
        f"captured to receipt: {_spread(sent.receipted_ms)}",
    ]
    for name, part in found.stretches.items():
        told += [
            f"{name}: {100 * part.core:.1f} % of a core, a frame's work {_spread(part.work_ms)}",
            f"{name}: age when begun {_spread(part.began_ms)}; when ended {_spread(part.ended_ms)}",
        ]
    warmth = "not told" if found.celsius is None else f"{found.celsius:.1f} °C at most"
    told.append(
        f"descriptors {found.descriptors[0]} to {found.descriptors[1]}, threads "
        f"{found.threads[0]} to {found.threads[1]}, temperature {warmth}; "
        f"noted: {seen.events or 'nothing'}"
    )
    return told


def _spread(of: Spread) -> str:
    if not of.number:
        return "no samples"
    return (
        f"p50 {of.p50:.1f}, p95 {of.p95:.1f}, p99 {of.p99:.1f}, most {of.most:.1f} ms "
        f"({of.number:,})"
    )


def _interval(of: Interval | None, unit: str) -> str:
    return "not known" if of is None else f"{of.value:.2f} [{of.low:.2f}, {of.high:.2f}] {unit}"
