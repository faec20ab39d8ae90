"""`passerby-lab train curves`: what trainings wrote into their journals, as one picture."""

import argparse
import html
from pathlib import Path

from device.errors import ConfigurationError
from device.files import write_atomically
from tools.console import console
from tools.lab.train.journal import Journal

_COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#34495e", "#16a085", "#7f8c8d")
_WIDTH, _HEIGHT, _LEFT, _TOP = 720, 420, 70, 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("journals", type=Path, nargs="+", metavar="LABEL=FILE.jsonl or FILE.jsonl")
    parser.add_argument("--figure", default="pairs", help="the value to draw, default %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.svg")


def run(options: argparse.Namespace) -> int:
    """Draw the journals; 0."""
    lines = {}
    for given in options.journals:
        label, _, file = str(given).rpartition("=")
        lines[label or Path(file).parent.name] = _points(Path(file), options.figure)
    write_atomically(options.out, picture(lines, options.figure).encode(), mode=0o644)
    for label, points in lines.items():
        console.print(f"{label}: {points[-1][1]:.4f} after {points[-1][0]:,.0f} samples")
    return 0


def _points(path: Path, figure: str) -> list[tuple[float, float]]:
    points = [(line["samples"], line[figure]) for line in Journal.read(path) if figure in line]
    if not points:
        raise ConfigurationError(f'{path} has no line with "{figure}": is it a journal?')
    return points


def picture(lines: dict[str, list[tuple[float, float]]], figure: str) -> str:
    """Return an SVG page: samples to the right, the figure upwards, one curve per journal."""
    points = [point for line in lines.values() for point in line]
    most = max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    high = high if high > low else low + 1

    def at(x: float, y: float) -> str:
        across = _LEFT + (_WIDTH - _LEFT - 20) * x / most
        down = _TOP + (_HEIGHT - _TOP - 50) * (high - y) / (high - low)
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        "<style>text{font:13px sans-serif}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="20">{html.escape(figure)}</text>',
        f'<text x="{_WIDTH - 20}" y="{_HEIGHT - 12}" text-anchor="end">samples</text>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        y, x = low + share * (high - low), share * most
        parts.append(
            f'<polyline points="{at(0, y)} {at(most, y)}" stroke="#ddd" fill="none"/>'
            f'<text x="{_LEFT - 8}" y="{at(0, y).split(",")[1]}" text-anchor="end">{y:.3f}</text>'
            f'<text x="{at(x, low).split(",")[0]}" y="{_HEIGHT - 30}" text-anchor="middle">'
            f"{x / 1000:.0f}k</text>"
        )
    for number, (label, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(at(x, y) for x, y in line)
        parts.append(f'<polyline points="{path}" stroke="{colour}" stroke-width="2" fill="none"/>')
        parts.append(
            f'<text x="{_WIDTH - 24}" y="{_HEIGHT - 70 - 18 * number}" text-anchor="end" '
            f'fill="{colour}">{html.escape(label)}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])
