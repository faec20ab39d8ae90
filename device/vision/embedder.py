"""The embedder: a `Sample` becomes a `Probe`."""

import numpy as np

from device.vision.inference import Floats, Network
from device.vision.sample import Probe, Sample, length_of


class Embedder:
    """Turns aligned faces into templates of unit length."""

    def __init__(self, network: Network) -> None:
        self._network = network
        _, self.side, _, _ = network.input_shape
        """Width and height of the samples it takes, in pixels."""
        self.dimension = int(np.prod(network.output_shapes[0]))
        """Length of a template."""

    @property
    def wiped(self) -> bool:
        """True when nothing of a face is left in the network."""
        return self._network.wiped

    def wipe(self) -> bool:
        """See `Network.wipe`."""
        return self._network.wipe()

    def features(self, sample: Sample) -> Floats:
        """Return the embedder's own output for one sample, (dimension,) float32.

        Its direction is the identity; its length is the shorter, the less there is to see of it.
        Raises ValueError when the network returns nothing usable (all zeros or not finite).
        """
        (output,) = self._network.run(sample.pixels)
        features: Floats = output.reshape(-1)
        length = float(np.linalg.norm(features))
        if not np.isfinite(length) or length < 1e-6:  # noqa: PLR2004 - no direction to speak of
            msg = "The embedder returned no template."
            raise ValueError(msg)
        return features

    def embed(self, sample: Sample) -> Probe:
        """Return the probe of one sample: its features at unit length. Raises ValueError."""
        features = self.features(sample)
        features /= length_of(features)
        return Probe(features)
