"""Two lines of `passerby doctor`: what threads bring on this board, and how far it sees."""

import msgspec

from device.board import this_board
from device.errors import ModelError
from device.settings import CameraSettings, ModelSettings, VisionSettings
from device.vision import Catalogue, Surroundings, depth
from device.vision.choice import choose, input_size
from device.vision.threads import chosen, swept, wanted_ms


def threads(models: ModelSettings, vision: VisionSettings, around: Surroundings) -> str:
    """Measure the detector with one thread, two, …, as long as another helps. Raises ModelError."""
    catalogue, board = Catalogue.configured(models.directory), this_board()
    detector = choose(catalogue, _one_thread(models), vision, around).detector
    timings = swept(lambda count: catalogue.open_bare(detector, count), board.cores, 0.0)
    wanted = wanted_ms(vision)
    best = chosen(timings, wanted)
    used = models.threads or best
    why = "models.threads" if models.threads else "measured"
    figures = ", ".join(str(timing) for timing in timings)
    traces = "; what more than one leaves: docs/forgetting.md" if used > 1 else ""
    return f"{board}; uses {used} ({why}), for {wanted:.0f} ms {best} would do: {figures}{traces}"


def distance(models: ModelSettings, vision: VisionSettings, camera: CameraSettings) -> str:
    """Tell how far the detector sees, and whether that is far enough. Raises ModelError."""
    catalogue = Catalogue.configured(models.directory)
    detector = choose(catalogue, _one_thread(models), vision, Surroundings(camera)).detector
    view, size = depth.View.of(camera), input_size(detector)
    reach, far = depth.reach_m(view, size), camera.farthest_m
    if far and reach < far:
        msg = (
            f"At camera.farthest_m = {far:g} a face is {depth.face_px(view, size, far):.0f} pixels "
            f"wide for {detector.name}, and {depth.LEAST_FACE_PX} are needed: it sees to "
            f"{depth.metres(reach)} m. Mount the camera nearer or with a longer lens, or enlarge "
            "camera.lores_width and choose a detector with a larger input."
        )
        raise ModelError(msg)
    told = f"camera.farthest_m = {far:g}" if far else "camera.farthest_m is not told"
    return f"{detector.name} sees a face to {depth.metres(reach)} m; {told}"


def _one_thread(models: ModelSettings) -> ModelSettings:
    """Leave threads and small detector out of the choice: the one is measured here anyway."""
    return msgspec.structs.replace(models, threads=1, small_detector="")
