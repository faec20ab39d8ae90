"""What every alert of a session says beside its candidate: device, list, models, threshold."""

from device.alerts.maker import Circumstances
from device.conditions import Conditions
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.topics import Topics
from device.recognition import limits_for, scale_of
from device.settings import Settings
from device.vision import Eye


def models_of(eye: Eye) -> list[ModelHash]:
    """Return the models that see and compare, with their hashes."""
    return [ModelHash(entry.role, entry.name, entry.sha256) for entry in eye.entries]


def circumstances_of(
    settings: Settings, eye: Eye, watchlist: ListVersion, conditions: Conditions
) -> Circumstances:
    """Return what holds for all alerts of a session."""
    device = settings.device
    return Circumstances(
        source=Topics(device.site, device.id).source,
        watchlist=watchlist,
        models=models_of(eye),
        threshold_id=conditions.threshold_id
        or limits_for(settings, eye.embedder_entry).threshold_id,
        bands=scale_of(eye.embedder_entry).bands,
        demonstration=conditions.mode == "demonstration",
        attack_detection=eye.attack_detection,
    )
