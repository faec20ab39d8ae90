"""`passerby-lab convert` itself: converts one model after the other and writes what came out."""

import argparse
import hashlib

from rich.progress import Progress

from device.files import write_atomically
from tools.console import console, notes
from tools.field.recipe import encode
from tools.lab.convert import chosen
from tools.lab.convert.conversions import CONVERSIONS, convert
from tools.lab.convert.pictures import Faces

_READABLE = 0o644


def run(options: argparse.Namespace) -> int:
    """Convert to `options.out`; 0 when every recipe repeats its conversion."""
    faces = Faces.read(options.faces)
    names = chosen(options.only, [one.name for one in CONVERSIONS])
    with Progress(console=notes) as progress:
        for conversion in (one for one in CONVERSIONS if one.name in names):
            task = progress.add_task(conversion.name, total=None)
            made = convert(conversion, options.source, faces, lambda: progress.advance(task))  # noqa: B023
            progress.remove_task(task)
            recipe = encode(made.recipe)
            write_atomically(options.out / f"{conversion.name}.tflite", made.model, _READABLE)
            write_atomically(options.out / f"{conversion.name}.json", recipe, _READABLE)
            sha256 = hashlib.sha256(made.model).hexdigest()
            sizes = f"{len(made.model):,} bytes, recipe {len(recipe):,} bytes"
            console.print(f"{conversion.name}: {sha256}, {sizes}")
    return 0
