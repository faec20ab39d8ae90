"""Which letter leaves next, out of those that wait."""

from device.alerts.flow import Flow
from device.alerts.outbox import Entry
from device.alerts.post import Post


def next_letter(post: Post, flow: Flow, now_s: float) -> Entry | None:
    """Return the letter to send now: an overdue one, one that no disk keeps, or the oldest."""
    flow.read_from(post.openings)
    while flow.may_send() and (digest := flow.overdue(now_s)) is not None:
        entry = post.find(digest)
        if entry is not None:
            return entry
        if not post.readable:
            return _in_memory(post, flow)
        # Receipted meanwhile, or too old to be kept.
        flow.finished(digest)
    if not flow.may_send_new():
        return None
    unkept = _in_memory(post, flow)
    if unkept is not None:
        return unkept
    while (entry := post.after(flow.cursor)) is not None:
        if not flow.knows(entry.digest) and not post.receipted(entry.digest):
            return entry
        # Only past what was sent: a letter that was chosen and could not leave is chosen again.
        flow.cursor = entry.number
    return None


def _in_memory(post: Post, flow: Flow) -> Entry | None:
    if not flow.may_send_new():
        return None
    return next((one for one in post.in_memory() if not flow.knows(one.digest)), None)
