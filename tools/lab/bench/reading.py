"""Reads what Passerby never gives away: the score of every comparison, and how many templates.

For the benchmark's score protocol alone, in its own process: scores do not leave a device (R47).
"""

from typing import Any

from device import recognition
from device.matching import Gallery, comparison
from device.vision.embedder import Embedder
from device.vision.inference import Floats
from tools.lab.bench.contestant import Score
from tools.lab.bench.wraps import Made, Wraps


class Reading:
    """Notes, per comparison, the reference that came nearest and its final score.

    The final score is that of `device.matching.compare`: where a second crop was cut, the mean of
    both. Costs a maximum over the list's scores per comparison, which is on the clock.
    """

    def __init__(self) -> None:
        self.best: list[Score] = []
        self.embedded = 0
        self._newest: list[Score] = []
        self._wraps = Wraps()
        self._wraps.around(comparison, "scores_of", self._scores)
        self._wraps.around(recognition, "compare", self._compare)
        self._wraps.around(Embedder, "features", self._features)

    def begin(self) -> None:
        """Forget what was read of the frame before."""
        self.best = []
        self.embedded = 0

    def close(self) -> None:
        """Stop reading."""
        self._wraps.undo()

    def _scores(self, original: Made) -> Made:
        def scores_of(gallery: Gallery, templates: Floats) -> Floats:
            scores: Floats = original(gallery, templates)
            index = int(scores[0].argmax())
            self._newest[:] = [(gallery.ids[index], float(scores[0, index]))]
            return scores

        return scores_of

    def _compare(self, original: Made) -> Made:
        def compare(*arguments: Any) -> Any:  # noqa: ANN401 - handed on as it comes
            self._newest.clear()
            try:
                return original(*arguments)
            finally:
                # The second crop's scores, where there was one, replaced the first's.
                self.best += self._newest

        return compare

    def _features(self, original: Made) -> Made:
        def features(*arguments: Any) -> Any:  # noqa: ANN401 - handed on as it comes
            self.embedded += 1
            return original(*arguments)

        return features
