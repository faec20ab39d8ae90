"""`passerby-lab convert`: published models to `.tflite`, and the recipes that repeat it elsewhere.

In: published files (`--from`), faces that may be trained on (`--faces`). Out: for each model a
`.tflite` file and a recipe of the same name. No framework is needed: the readers, the quantisation
and the writer are here, and the interpreter of the appliance runs the float graph on the pictures.
The same version on the same kind of processor gives the same bytes; what counts elsewhere is the
recipe, which gives the same bytes everywhere.

`student` does the same for networks trained here.
"""

import argparse
from importlib import import_module

from device.errors import ConfigurationError


def run(options: argparse.Namespace) -> int:
    """Convert, or measure what was converted; 0 when all went well."""
    command = "measure" if options.measure else "command"
    # Loaded late: `student` and the tests need nothing of it.
    return int(import_module(f"tools.lab.convert.{command}").run(options))


def chosen(only: list[str] | None, names: list[str]) -> list[str]:
    """Return the names to work on. Raises ConfigurationError for one that there is not."""
    for name in only or []:
        if name not in names:
            raise ConfigurationError(
                f'No conversion is called "{name}"; there are: {", ".join(names)}.'
            )
    return [name for name in names if not only or name in only]
