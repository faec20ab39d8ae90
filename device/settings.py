"""Every setting of the appliance, frozen and validated; `docs/configuration.md` is made from here.

One class per table of `device.toml`. A field's `description` is its line in the documentation, with
unit and range. Nothing here reads a file: see `device.configuration`.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

OpaqueId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]


def _text(description: str) -> Meta:
    return Meta(description=description)


def _number(description: str, ge: float, le: float) -> Meta:
    return Meta(description=description, ge=ge, le=le)


class DeviceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who this device is, and where it keeps its state."""

    site: Annotated[
        OpaqueId,
        _text(
            "Opaque id of the site, part of every topic: a-z, 0-9 and dashes; never a place name."
        ),
    ]
    id: Annotated[OpaqueId, _text("Opaque id of this device, part of every topic.")]
    state_directory: Annotated[
        str, _text("The only folder that the appliance writes to: status and audit log.")
    ] = "/var/lib/passerby"
    demonstration: Annotated[
        bool,
        _text(
            "Accept an unsigned watchlist and say so in every alert. Never true in an operational "
            "deployment."
        ),
    ] = False


class CameraSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where frames come from."""

    kind: Annotated[
        Literal["picamera2", "usb", "video", "stills"],
        _text(
            "`picamera2` (the Pi's camera), `usb` (V4L2), `video` (a clip) or `stills` (a folder "
            "of consecutive pictures; to compare single ones use `passerby match`)."
        ),
    ]
    path: Annotated[
        str, _text("The clip, the folder of stills, or the USB camera's device, as /dev/video0.")
    ] = ""
    index: Annotated[
        int, _number("Which Pi camera, where there are two connectors.", ge=0, le=3)
    ] = 0
    width: Annotated[
        int, _number("Width of the main stream, from which faces are cut, in pixels.", 64, 4608)
    ] = 2304
    height: Annotated[int, _number("Height of the main stream in pixels.", 64, 2592)] = 1296
    lores_width: Annotated[
        int, _number("Width of the small stream for motion and detection, in pixels.", 64, 1920)
    ] = 640
    frames_per_second: Annotated[
        float, _number("Frames asked of the camera per second, or of a folder of stills.", 1, 60)
    ] = 15.0
    exposure: Annotated[
        Literal["short", "normal"],
        _text("`short` freezes walking people; `normal` is for dim places where nobody walks."),
    ] = "short"
    focus_m: Annotated[
        float,
        _number(
            "Distance of the zone of recognition in metres, focus fixed there; 0 is continuous "
            "autofocus.",
            0,
            50,
        ),
    ] = 0.0
    farthest_m: Annotated[
        float,
        _number(
            "Farthest distance in metres at which faces are to be compared; 0: not told. With "
            "`models.detector_by_depth` it chooses the detector.",
            0,
            50,
        ),
    ] = 0.0
    field_of_view_degrees: Annotated[
        float,
        _number(
            "The lens's horizontal angle of view in degrees: 66 is Camera Module 3, 102 its wide "
            "version.",
            5,
            170,
        ),
    ] = 66.0
    upside_down: Annotated[bool, _text("Turn the picture by 180 degrees (Pi camera only).")] = False
    pace: Annotated[
        Literal["realtime", "fast"],
        _text("For clips: `realtime` drops late frames as a camera does, `fast` reads them all."),
    ] = "realtime"
    loop: Annotated[bool, _text("For clips: start again at the end.")] = False


class ModelSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Which models see and compare."""

    directory: Annotated[
        str, _text("Folder with `models.toml`; empty means the one that came with Passerby.")
    ] = ""
    detector: Annotated[str, _text("Name of the detector in `models.toml`.")] = "yunet-s-640x480"
    embedder: Annotated[str, _text("Name of the embedder in `models.toml`.")] = "omz-0095"
    attack_detector: Annotated[
        str,
        _text(
            "Name of the attack detector in `models.toml`; empty: none, and alerts and the status "
            "say `no PAD`. Read docs/attack-detection.md before you name one."
        ),
    ] = ""
    detector_by_depth: Annotated[
        bool,
        _text(
            "Of the detectors that differ from `detector` in their input only, take the cheapest "
            "that still sees a face at `camera.farthest_m` (docs/vision.md)."
        ),
    ] = False
    small_detector: Annotated[
        str,
        _text(
            "Detector for when the device is too hot or too slow: a name in `models.toml`; `auto`: "
            "the next smaller input of the detector's family; empty: none. Needs memory of its own "
            "and, with a signed watchlist, an authorisation that names it."
        ),
    ] = ""
    threads: Annotated[
        int,
        _number(
            "Threads per interpreter; 0: measured at start, and kept for this board. What more "
            "than one means for forgetting: docs/forgetting.md.",
            0,
            4,
        ),
    ] = 1
    edge_tpu: Annotated[
        Literal["auto", "off"],
        _text("`auto` uses a Coral when it and a compiled model are there; the status says which."),
    ] = "auto"


class VisionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Which faces are looked at, and how often."""

    detection_threshold: Annotated[
        float, _number("Lowest detector score that counts as a face.", 0.3, 0.99)
    ] = 0.7
    motion_gate: Annotated[
        bool, _text("Detect only when something moves or a track lives. Off: as if all moved.")
    ] = True
    motion_fraction: Annotated[
        float, _number("Part of the picture that must change to count as motion.", 0.0001, 0.2)
    ] = 0.002
    interocular_px: Annotated[
        float, _number("Smallest distance between the eyes, in main-stream pixels.", 8, 200)
    ] = 16.0
    yaw: Annotated[
        float, _number("Largest turn of the head: nose offset over eye distance.", 0.05, 1)
    ] = 0.35
    roll_degrees: Annotated[float, _number("Largest tilt of the head in degrees.", 5, 90)] = 35.0
    sharpness: Annotated[
        float, _number("Smallest sharpness of an aligned face (docs/vision.md).", 0, 10)
    ] = 0.05
    live_threshold: Annotated[
        Annotated[float, Meta(ge=0.01, le=0.99)] | None,
        _text(
            "Lowest live score of a face that is not judged a presentation attack. It belongs to "
            "one attack detector; left out, it is the one that `models.toml` names for it."
        ),
    ] = None
    shots_per_track: Annotated[
        int,
        _number(
            "Most comparisons of one passing face; twice as many while a candidate waits for "
            "confirmation, and a clearly better shot is always compared.",
            2,
            100,
        ),
    ] = 12
    faces_per_frame: Annotated[
        int, _number("Most faces compared in one frame; the others wait for the next.", 1, 64)
    ] = 8
    searches_per_s: Annotated[
        float,
        _number("Most detections per second while something moves and nobody is followed.", 1, 60),
    ] = 5.0
    follows_per_s: Annotated[
        float,
        _number(
            "Most detections per second while faces are followed, fewer when no comparison is "
            "near; a face that waits for confirmation is looked at 10 times a second.",
            2.5,
            60,
        ),
    ] = 5.0
    oldest_frame_ms: Annotated[
        float,
        _number(
            "A camera's frame that is older than this when its turn comes is wiped and not "
            "processed, in ms. 0: none is too old.",
            0,
            10000,
        ),
    ] = 200.0
    latency_ms: Annotated[
        float,
        _number(
            "Limit for the time from taking a camera's frame to the end of its processing, of 99 "
            "frames in 100, in ms; above it less is done (docs/protocol.md, Pace).",
            50,
            10000,
        ),
    ] = 200.0
    hottest_c: Annotated[
        float,
        _number(
            "Limit for the processor's temperature in degrees Celsius; above it less is done, and "
            "7 degrees above it nothing. The default is for a Raspberry Pi, which throttles "
            "itself from 80 on; other machines bear more.",
            40,
            95,
        ),
    ] = 78.0
    frame_budget_ms: Annotated[
        float,
        _number(
            "After this long, in ms, no further comparison begins in a frame, except one; who is "
            "left has a turn in the next. 0: no limit.",
            0,
            10000,
        ),
    ] = 100.0


class MatchingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """When a comparison becomes a candidate, and a candidate an alert."""

    threshold: Annotated[
        Annotated[float, Meta(ge=0.2, le=0.99)] | None,
        _text(
            "Lowest comparison score of a candidate. It belongs to one embedder's scale; left out, "
            "it is the one that `models.toml` names for the embedder."
        ),
    ] = None
    margin: Annotated[float, _number("Least lead over the best other reference.", 0.0, 0.5)] = 0.03
    shots: Annotated[
        int,
        _number(
            "Shots of one track that must name the same reference while they are strong; twice "
            "as many otherwise.",
            2,
            10,
        ),
    ] = 2
    cooldown_s: Annotated[
        float, _number("No second alert for one reference within this many seconds.", 0, 86400)
    ] = 60.0


class WatchlistSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Which references are looked for: a signed bundle, or in a demonstration a file."""

    path: Annotated[
        str, _text("The unsigned watchlist file of a demonstration (`passerby-desk enrol`).")
    ] = ""
    root: Annotated[
        str,
        _text(
            "The root of trust, `root.json`, that this device was provisioned with: which keys may "
            "sign watchlists. Needed unless `device.demonstration` is true."
        ),
    ] = ""
    unlock: Annotated[
        Literal["remote", "local"],
        _text(
            "`remote`: the desk opens the list at every start, and a stolen card holds nothing "
            "readable. `local`: for sites without a network; a stolen card can then be opened."
        ),
    ] = "remote"


class BrokerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where alerts and the status go."""

    host: Annotated[str, _text("Name or address of the MQTT broker.")] = "localhost"
    port: Annotated[int, _number("Port: 8883 with TLS, 1883 without.", 1, 65535)] = 8883
    protocol: Annotated[
        Literal["auto", "5", "3.1.1"],
        _text("`auto` speaks MQTT 5 and falls back to 3.1.1 where the broker has no more."),
    ] = "auto"
    keepalive_s: Annotated[
        int, _number("A dead link is noticed after about twice this, in seconds.", 5, 600)
    ] = 30
    tls: Annotated[
        bool, _text("Encrypt the connection. Without it only a broker on this device is accepted.")
    ] = True
    ca_file: Annotated[str, _text("Certificate authority of the broker; empty: the system's.")] = ""
    certificate_file: Annotated[str, _text("This device's certificate, PEM.")] = ""
    key_file: Annotated[str, _text("This device's private key, PEM.")] = ""
    username: Annotated[str, _text("User name at the broker, if it asks for one.")] = ""
    password_file: Annotated[
        str, _text("File with the password, readable by this service only; never the password.")
    ] = ""


class DeskSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """For whose eyes alerts are sealed."""

    public_keys: Annotated[
        str, _text("File with the desk's public keys (`passerby-desk keys create` makes it).")
    ] = ""
    suite: Annotated[
        Literal["mlkem768-x25519", "x25519"],
        _text("How to seal: post-quantum hybrid, or X25519 alone. Either is opened."),
    ] = "mlkem768-x25519"


class AlertSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How alerts wait and leave."""

    outbox_mb: Annotated[
        int,
        _number(
            "Most that waiting alerts may take on the disk, in MB; then new ones are refused and "
            "the oldest are kept. An alert takes some 5 kB.",
            1,
            16384,
        ),
    ] = 256
    delayed_after_s: Annotated[
        float, _number("An alert sent this many seconds after capture says `delayed`.", 1, 3600)
    ] = 15.0
    drain_s: Annotated[
        float,
        _number(
            "On stop, wait this long for alerts to leave and for their receipts; what is left "
            "leaves after the next start. Let it be longer than cover_period_s.",
            0,
            300,
        ),
    ] = 15.0
    receipt_timeout_s: Annotated[
        float,
        _number(
            "An alert without a receipt is sent again after this many seconds, then "
            "more and more seldom.",
            1,
            3600,
        ),
    ] = 30.0
    unreceipted: Annotated[
        int, _number("Most alerts that are sent and not yet receipted.", 1, 100000)
    ] = 256
    cover: Annotated[
        Literal["constant", "off"],
        _text(
            "`constant`: messages of one size leave at a constant rate, dummies among them, so "
            "that nobody on the network learns how busy the device is. `off`: alerts leave at once."
        ),
    ] = "constant"
    cover_period_s: Annotated[
        float,
        _number(
            'Seconds between two messages with `cover = "constant"`; an alert waits for its turn. '
            "Traffic per day: docs/reliability.md.",
            0.1,
            3600,
        ),
    ] = 10.0


class RetentionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How long things are kept (R23, R25)."""

    alerts_h: Annotated[
        float,
        _number(
            "Hours after which an alert is erased from this device, received or not.", 0.01, 744
        ),
    ] = 24.0


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `device.toml`."""

    device: DeviceSettings
    camera: CameraSettings
    watchlist: WatchlistSettings = WatchlistSettings()
    models: ModelSettings = ModelSettings()
    vision: VisionSettings = VisionSettings()
    matching: MatchingSettings = MatchingSettings()
    broker: BrokerSettings = BrokerSettings()
    desk: DeskSettings = DeskSettings()
    alerts: AlertSettings = AlertSettings()
    retention: RetentionSettings = RetentionSettings()
