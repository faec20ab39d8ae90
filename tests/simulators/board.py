"""A board that works, grows warm and falls behind: what the governor is there for.

Heat: the processor tends to `ambient_c` plus what its power makes, with a time constant; power
grows with the part of the time in which it works. Work: a camera gives frames at a rate, the newest
one is taken, a searched frame costs the detector and its faces, another one almost nothing.

`folder` is a stand-in for /sys that a test turns up and down.
"""

from dataclasses import dataclass

from device.governor import CRITICAL_ABOVE_C, Governor, Limits, steps_for
from device.vision.effort import Effort

FULL = Effort(searches_per_s=7.5, follows_per_s=7.5, faces_per_frame=8)
LIMITS = Limits(0.2, 78.0, 78.0 + CRITICAL_ABOVE_C)
RATE = 15.0
READ_EVERY_S = 2.0
IDLE_W, WORK_W = 3.0, 5.0
TIME_CONSTANT_S = 90.0


def governor(*, small=True, limits=LIMITS):
    return Governor(steps_for(FULL, small_detector=small), limits)


@dataclass
class Board:
    """kelvin_per_watt: of its cooling. detector_s, small_s, face_s: what each costs."""

    ambient_c: float = 25.0
    kelvin_per_watt: float = 6.0
    detector_s: float = 0.05
    small_s: float = 0.025
    face_s: float = 0.012
    idle_s: float = 0.003
    faces: int = 0
    celsius: float = 40.0
    now_s: float = 0.0

    def run(self, governor, seconds, changed=lambda now_s, step: None):
        """Work for so many seconds; `changed` is called when the step is another one."""
        end_s, read_s, searched_s = self.now_s + seconds, self.now_s, self.now_s - 1.0
        while self.now_s < end_s:
            step, resting = governor.step, governor.resting
            taken_s = int(self.now_s * RATE) / RATE
            cost_s = 0.0
            if not resting:
                cost_s = self._cost(step.effort, self.now_s - searched_s)
                if cost_s > self.idle_s:
                    searched_s = self.now_s
            # The next frame is the newest one: at once when one waits, else when it comes.
            done_s = self.now_s + cost_s
            next_s = max(done_s, taken_s + 1 / RATE + 1e-6)
            self._warm(cost_s, next_s - self.now_s)
            self.now_s = next_s
            if not resting:
                governor.frame(done_s - taken_s, done_s)
            if done_s >= read_s:
                read_s = done_s + READ_EVERY_S
                governor.temperature(round(self.celsius, 1), max(done_s, self.now_s))
            if (governor.step, governor.resting) != (step, resting):
                changed(self.now_s, governor.step.number)

    def _cost(self, effort, since_s):
        rate = effort.follows_per_s if self.faces else effort.searches_per_s
        if since_s < 1 / rate - 1e-6:
            return self.idle_s
        detector_s = self.small_s if effort.small_detector else self.detector_s
        return detector_s + self.face_s * min(self.faces, effort.faces_per_frame)

    def _warm(self, busy_s, all_s):
        watts = IDLE_W + WORK_W * busy_s / all_s
        target_c = self.ambient_c + self.kelvin_per_watt * watts
        self.celsius += (target_c - self.celsius) * min(1.0, all_s / TIME_CONSTANT_S)


def folder(root, celsius=45.0, flags=None, kind="cpu-thermal"):
    """Make, or change, a folder like /sys. celsius None: the thermometer is gone."""
    zone = root / "class/thermal/thermal_zone0"
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "type").write_text(kind + "\n")
    if celsius is None:
        (zone / "temp").unlink(missing_ok=True)
    else:
        (zone / "temp").write_text(f"{round(celsius * 1000)}\n")
    if flags is not None:
        firmware = root / "devices/platform/soc/soc:firmware"
        firmware.mkdir(parents=True, exist_ok=True)
        (firmware / "get_throttled").write_text(f"{flags:x}\n")
    return root
