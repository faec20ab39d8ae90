"""How long a face lives in the appliance: from the camera's buffer to the last overwritten byte.

Frames come at a camera's rate, in real time, and nobody stops the process meanwhile. The clock
starts when the last byte of a frame is in the camera's buffer; it stops when the frame's processing
has ended: the buffer given back and overwritten, crops, templates and networks wiped. A frame that
a newer one overtook ends when its buffer is given back.
"""

from dataclasses import dataclass

import numpy as np

from tests.privacy.forgetting.appliance import Appliance
from tests.privacy.forgetting.people import frames

RATE = 15.0
"""Frames per second: what the appliance asks of its camera by default."""
RUNS = {
    "idle: one face at a time": (1, None),
    "busy: six new faces in every frame": (6, None),
    "faulty: every embedding fails": (6, "embedding"),
    "faulty: every detection fails": (6, "detection"),
}


@dataclass
class Lives:
    """run: of `RUNS`. lives_ms: sorted, one per frame. overtaken: of them, by a newer frame.

    odd: what makes the figures worthless, in sentences: nothing was compared, nobody was there.
    """

    run: str
    lives_ms: list
    overtaken: int
    faces: int
    odd: list

    def percentile(self, share):
        """Return the life in milliseconds that `share` percent of the frames do not exceed."""
        return float(np.percentile(self.lives_ms, share, method="higher"))

    def figures(self):
        found = {f"p{share}": round(self.percentile(share), 1) for share in (50, 95, 99)}
        longest = round(self.lives_ms[-1], 1)
        more = {"longest": longest, "overtaken": self.overtaken}
        return {"frames": len(self.lives_ms), "faces": self.faces, **found, **more}


def measure(folder, run, number, seed, *, pool):
    """Show `number` frames at `RATE`; return how long each lived."""
    faces, fault = RUNS[run]
    shown = list(frames(seed, number, faces=faces, pool=pool))
    with Appliance(folder, port=1) as appliance:
        appliance.stream(shown[:5], RATE)
        if fault is not None:
            appliance.fault(fault, always=True)
        seen = appliance.stream(shown, RATE)
        appliance.stop()
    ends = [one.ended_ns or one.released_ns for one in seen]
    lives = sorted((end - one.filled_ns) / 1e6 for end, one in zip(ends, seen, strict=True))
    overtaken = sum(one.superseded for one in seen)
    faces = sum(one.faces for one in seen)
    odd = [] if all(one.wiped for one in seen) else ["A frame was not wiped."]
    odd += [] if all(one.armed or one.superseded for one in seen) else ["Nothing was compared."]
    odd += [] if faces or fault == "detection" else ["Nobody was there."]
    return Lives(run, lives, overtaken, faces, odd)


_WIDE, _HIGH = 760, 360
_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 30, 20, 92
_COLOURS = ("#1b6ca8", "#c1440e", "#5a8f29", "#7a4fa3")


def drawing(all_lives):
    """Return an SVG: the share of faces that are gone after so many milliseconds."""
    limit = 2000 / RATE
    most = 1.15 * max(limit, *(lives.lives_ms[-1] for lives in all_lives))
    across, down = _WIDE - _LEFT - _RIGHT, _HIGH - _TOP - _BOTTOM

    def x(milliseconds):
        return _LEFT + across * milliseconds / most

    def y(share):
        return _TOP + down * (1 - share)

    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" role="img" '
    parts = [
        head + 'font-family="sans-serif" font-size="12">',
        "<title>How long a face lives in the appliance</title>",
        f'<rect width="{_WIDE}" height="{_HIGH}" fill="white"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_line((_LEFT, y(share)), (_WIDE - _RIGHT, y(share)), "#ddd"))
        parts.append(_text(_LEFT - 8, y(share) + 4, f"{share:.0%}", "end"))
    step = 20 if most < 250 else 50
    parts += [_text(x(ms), y(0) + 18, f"{ms} ms", "middle") for ms in range(0, int(most) + 1, step)]
    parts.append(_line((x(limit), _TOP - 6), (x(limit), y(0)), "#444", "6 4"))
    parts.append(_text(x(limit) - 6, _TOP + 8, "two frame times", "end"))
    for number, lives in enumerate(all_lives):
        colour = _COLOURS[number % len(_COLOURS)]
        shares = np.arange(1, len(lives.lives_ms) + 1) / len(lives.lives_ms)
        points = " ".join(
            f"{x(ms):.1f},{y(share):.1f}" for ms, share in zip(lives.lives_ms, shares, strict=True)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        row, column = divmod(number, 2)
        left, top = _LEFT + column * across / 2, y(0) + 44 + 20 * row
        parts.append(_line((left, top - 4), (left + 22, top - 4), colour, width=3))
        parts.append(_text(left + 28, top, lives.run))
    return "\n".join([*parts, "</svg>", ""])


def _line(start, end, colour, dashes="none", width=1):
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{colour}" stroke-dasharray="{dashes}" stroke-width="{width}"/>'
    )


def _text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222">{words}</text>'
