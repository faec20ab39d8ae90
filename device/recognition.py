"""Vision and matching joined: a frame goes in, confirmed candidates come out while it lives."""

from collections.abc import Callable

from device.capture.frame import Frame
from device.matching import Confirmation, Confirmed, Gallery, Limits, compare
from device.settings import Settings
from device.vision import Eye, Observation, Observer, Sighting
from device.vision.catalogue import ModelEntry, ScoreScale
from device.vision.effort import Effort

OnConfirmed = Callable[[Confirmed, Sighting], None]
"""Called while the frame lives; the only moment at which a face may become part of an alert."""

OnAttack = Callable[[], None]
"""Called once per track: a shot that came near a reference was judged a presentation attack."""

_NO_SCALE = ScoreScale(
    threshold=0.99, bands=(0.995, 0.999), same=0.99, twin=0.999, second_crop_from=0.99
)


class Recogniser:
    """Follows faces through the frames of one source and compares them with one list."""

    def __init__(self, eye: Eye, gallery: Gallery, settings: Settings) -> None:
        self._eye = eye
        self._gallery = gallery
        self._limits = limits_for(settings, eye.embedder_entry)
        self._attack = eye.attack
        self._attacking: set[int] = set()
        self._observer = Observer(eye, settings.vision)
        self._confirmation = Confirmation(
            settings.matching.shots, scale_of(eye.embedder_entry).bands[0]
        )

    def process(
        self, frame: Frame, on_confirmed: OnConfirmed, on_attack: OnAttack = lambda: None
    ) -> Observation:
        """Compare the faces of a frame. The caller releases the frame afterwards.

        A shot near a reference that is judged a presentation attack names nobody: it is no
        candidate, and weighs against confirming one.
        """

        def consider(sighting: Sighting) -> bool:
            candidate = compare(self._gallery, sighting.probe, self._limits)
            if candidate is None or self._is_attack(frame, sighting, on_attack):
                self._confirmation.miss(sighting.track)
            else:
                confirmed = self._confirmation.add(sighting.track, candidate, sighting.quality)
                if confirmed is not None:
                    on_confirmed(confirmed, sighting)
            return self._confirmation.waits(sighting.track)

        try:
            return self._observer.observe(frame, consider)
        finally:
            # Also when the frame failed: a track's end ends what was kept of it.
            for track in self._observer.ended():
                self._confirmation.end(track)
                self._attacking.discard(track)
            self._eye.wipe()

    def _is_attack(self, frame: Frame, sighting: Sighting, on_attack: OnAttack) -> bool:
        if self._attack is None or not self._attack.is_attack(frame.main, sighting.box):
            return False
        if sighting.track not in self._attacking:
            self._attacking.add(sighting.track)
            on_attack()
        return True

    @property
    def effort(self) -> Effort:
        """How hard to work; may be set between two frames."""
        return self._observer.effort

    @effort.setter
    def effort(self, effort: Effort) -> None:
        self._observer.effort = effort

    @property
    def faces_in_frame(self) -> int:
        """How many faces the newest frame showed."""
        return self._observer.faces_in_frame

    @property
    def new_tracks(self) -> int:
        """How many tracks began in the newest frame."""
        return self._observer.new_tracks

    @property
    def compared(self) -> int:
        """How many faces of the newest frame were worth cutting out, and were tried."""
        return self._observer.compared

    def forget(self) -> None:
        """End all tracks: the camera stopped, or comparing is forbidden now."""
        self._observer.forget()
        self._confirmation.clear()
        self._attacking.clear()


def scale_of(embedder: ModelEntry) -> ScoreScale:
    """Return an embedder's score scale; one that declares none is given a forbidding one."""
    return embedder.scores or _NO_SCALE


def limits_for(settings: Settings, embedder: ModelEntry) -> Limits:
    """Return threshold and margin: the configuration's, or the embedder's own threshold."""
    configured = settings.matching.threshold
    scale = scale_of(embedder)
    threshold = scale.threshold if configured is None else configured
    origin = "default" if configured is None else "configured"
    name = f"{embedder.name}-{origin}-{threshold:.3f}"
    return Limits(
        threshold,
        settings.matching.margin,
        name,
        second_crop_from=min(scale.second_crop_from, threshold),
        second_look_from=min(scale.look_from, threshold),
    )
