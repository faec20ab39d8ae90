"""`passerby-lab demo`: the main job from camera to consumer.

Without data: people who do not exist walk past, some of them are enrolled, the built-in models find
them; nothing has to be fetched. With `--data`: real clips and stills, the operational models.
"""

import argparse

from device.errors import ModelError
from device.vision import Catalogue, default_directory
from tools.console import console
from tools.lab import demo_clips, demo_people
from tools.lab.collection import Collection, models_of
from tools.lab.manifest import MANIFEST


def run(options: argparse.Namespace) -> int:
    """Run the demonstration; 0 when every alert that was raised arrived."""
    catalogue = Catalogue.read(default_directory())
    collection: Collection = options.models or ("operational" if options.data else "built-in")
    models = models_of(catalogue, collection)
    if options.data and not (options.data / MANIFEST).is_file():
        console.print(
            f"{options.data} holds no {MANIFEST}: make demo DATA=FOLDER names a data set "
            "(docs/data.md); make demo alone needs none."
        )
        return 0
    try:
        catalogue.verified_path(catalogue.entry(models.detector, "detector"))
        catalogue.verified_path(catalogue.entry(models.embedder, "embedder"))
    except ModelError as error:
        console.print(f"The demonstration needs the {collection} models. {error}")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    if options.data:
        return demo_clips.demonstrate(options.data, options.out, models)
    return demo_people.demonstrate(options.out, models)
