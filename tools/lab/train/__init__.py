"""Training of the built-in models: from faces of nobody and of volunteers, by distillation.

`passerby-lab train WHAT …`, where WHAT is a module of this package with `add_arguments` and `run`.
"""

import argparse
from importlib import import_module

from device.errors import ConfigurationError

SUBJECTS = {
    "embedder": "teach the built-in embedder",
    "detector": "teach the built-in detector",
    "detector_check": "measure checkpoints of a detector on composed scenes",
    "detector_export": "write a trained detector as .tflite",
    "detector_proof": "measure detectors side by side, and their speed",
    "export": "write a trained embedder as .tflite",
    "watch": "cut out the pairs of a data set, to be measured on the way",
    "curves": "draw what trainings wrote into their journals",
}


def run(options: argparse.Namespace) -> int:
    """Train what the first argument names, with the rest of them."""
    try:
        # Loaded late: only these need PyTorch.
        module = import_module(f"tools.lab.train.{options.subject}")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed: training has an environment of its own "
            "(`make venv-train`, then .venv-train/bin/passerby-lab train …)."
        ) from error
    parser = argparse.ArgumentParser(f"passerby-lab train {options.subject}")
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(options.rest)))
