"""Two runs of one length, one with nobody and one with many strangers: what leaves is compared.

Who can open what the device says (the desk) must not learn of strangers from it, nor who can open
nothing (the broker, the network): same messages, same packets, same sizes, same peers.
"""

from dataclasses import dataclass, field

from tests.privacy.forgetting import trace, wire
from tests.privacy.forgetting.appliance import Appliance
from tests.privacy.forgetting.people import empty, frames
from tests.simulators.mosquitto import Mosquitto, wait_until


@dataclass
class Compared:
    """differences: in sentences. figures: of both runs."""

    differences: list = field(default_factory=list)
    figures: dict = field(default_factory=dict)


def compare(folder, seed, number, *, pool):
    """Let nobody pass, then strangers; return what differs in what left."""
    found = Compared()
    nobody = [empty(seed, place, pool=pool) for place in range(number)]
    somebody = list(frames(seed, number, pool=pool))
    said, shapes, logs = [], [], []
    for name, shown in (("nobody", nobody), ("strangers", somebody)):
        heard, packets, log, faces = _heard(folder / name, shown, found)
        said.append(heard)
        shapes.append(packets)
        logs.append(log)
        found.figures[name] = {
            "faces": faces,
            "messages": len(heard),
            "packets": sum(packets.values()),
        }
    if found.figures["nobody"]["faces"] or not found.figures["strangers"]["faces"]:
        found.differences.append("The two runs were not what they were to be: see the faces.")
    found.differences += wire.differences(*said)
    if shapes[0] != shapes[1]:
        found.differences.append(
            f"Packets differ: {shapes[0] - shapes[1]}, {shapes[1] - shapes[0]}."
        )
    if logs[0] != logs[1]:
        found.differences.append(f"The logs differ: {logs}.")
    return found


def _heard(folder, shown, found):
    """Show frames; return what was said, the packets' shapes, the log, and the faces seen."""
    folder.mkdir(parents=True)
    broker = Mosquitto(folder / "broker")
    broker.start()
    tracing = trace.why_not() is None
    wrapper = trace.prefix(folder / "trace") if tracing else ()
    try:
        with wire.Tap(broker.port) as tap:
            appliance = Appliance(folder / "device", verbose=True, port=tap.port, wrapper=wrapper)
            with appliance:
                # Whether it is connected before the first frame is chance.
                wait_until(lambda: "connected" in appliance.stderr.read_text(), what="a connection")
                faces = sum(appliance.show(frame).faces for frame in shown)
                appliance.stop()
            told, desk = tap.told(), appliance.between.desk
            found.differences += wire.faults(told, desk)
            if tracing:
                found.differences += _strangers_to_it(folder, appliance, tap)
            log = [_without_numbers(line) for line in appliance.stderr.read_text().splitlines()]
            return wire.said(told, desk), wire.shapes(tap), log, faces
    finally:
        broker.stop()


def _strangers_to_it(folder, appliance, tap):
    """Return who was contacted beside the broker, in sentences."""
    traced = trace.Traced.read(folder / "trace", cwd=appliance.folder)
    return [
        f"It contacted {peer}."
        for peer in traced.peers
        if not peer.itself
        and "passerby-proof" not in peer.address
        and (peer.address, peer.port) != ("127.0.0.1", tap.port)
    ]


def _without_numbers(line):
    """Take out what differs from run to run: how long the start took."""
    return " ".join(word for word in line.split() if not word.replace(".", "").isdigit())
