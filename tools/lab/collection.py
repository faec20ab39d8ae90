"""The two collections of models, as settings of an appliance."""

from typing import Literal

from device.errors import ModelError
from device.settings import ModelSettings
from device.vision import Catalogue

Collection = Literal["built-in", "operational"]


def models_of(catalogue: Catalogue, collection: Collection) -> ModelSettings:
    """Return the settings that name a collection's first detector and embedder.

    Where the appliance's default belongs to the collection, it is that. Raises ModelError when the
    catalogue has none.
    """
    usual = ModelSettings()
    return ModelSettings(
        detector=_choose(catalogue, collection, "detector", usual.detector),
        embedder=_choose(catalogue, collection, "embedder", usual.embedder),
    )


def _choose(
    catalogue: Catalogue,
    collection: Collection,
    role: Literal["detector", "embedder"],
    usual: str,
) -> str:
    names = [e.name for e in catalogue.entries if e.role == role and e.collection == collection]
    if not names:
        raise ModelError(f"models.toml names no {collection} {role}.")
    return usual if usual in names else names[0]
