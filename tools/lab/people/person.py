"""A person who does not exist: everything that stays the same from one picture to the next."""

from dataclasses import dataclass, field

from tools.lab.people.modes import SHAPE_NAMES
from tools.lab.people.palette import HAIR, IRIS, Colour

HAIR_STYLES = (
    "bald", "buzz", "short", "side", "quiff", "fringe", "curly", "afro", "receding", "ring",
    "bob", "long", "long_fringe", "waves", "tied", "bun",
)  # fmt: skip
BEARDS = ("none", "shadow", "stubble", "moustache", "goatee", "short", "full")
CLOTHES = ("tee", "shirt", "hoodie", "vneck", "turtleneck", "jacket")


GLASSES = ("none", "round", "square", "wide", "rimless")


@dataclass(frozen=True)
class Eyes:
    """The eyes between their lids; lengths in millimetres of the mean face."""

    upper: float = 4.8
    """Height of the upper lid's edge above the pupil."""
    lower: float = 4.6
    """Depth of the lower lid's edge below it."""
    peak: float = 0.0
    """Where the upper lid is highest, -1 at the inner to 1 at the outer corner."""
    fold: float = 3.5
    """Height of the fold above the upper lid; 0: no fold."""
    iris: Colour = IRIS["brown"]
    lashes: float = 0.5
    """Strength of lashes and paint on the lids, in [0, 1]."""
    white: float = 0.8
    """Brightness of the white, in [0, 1]."""


@dataclass(frozen=True)
class Brows:
    """The eyebrows."""

    thickness: float = 4.5
    """Millimetres at the thickest place."""
    length: float = 36.0
    """Millimetres from end to end."""
    arch: float = 3.0
    """Rise of the arch over the line between its ends, millimetres."""
    peak: float = 0.62
    """Where the arch is highest, from the inner end (0) to the outer (1)."""
    density: float = 0.8
    """How full of hair they are, in [0, 1]."""
    height: float = -17.0
    """Where they lie, millimetres down (negative: up)."""
    gap: float = 11.0
    """From the midline to the inner end, millimetres."""
    bridge: float = 0.0
    """Hair between the brows, in [0, 1]."""
    tone: Colour = HAIR["dark"]


@dataclass(frozen=True)
class Skin:
    """The skin."""

    tone: Colour = (0.26, 0.36, 0.58)
    redness: float = 0.5
    """Blood in cheeks, nose and ears, in [0, 1]."""
    freckles: float = 0.0
    blotches: float = 0.3
    """Unevenness of its colour, in [0, 1]."""
    moles: int = 2
    wrinkles: float = 0.2
    """Depth of the lines that years leave, in [0, 1]."""
    hollows: float = 0.3
    """Darkness under the eyes, in [0, 1]."""
    oil: float = 0.4
    """Strength of the skin's shine, in [0, 1]."""
    lip: Colour = (0.2, 0.2, 0.5)
    upper_lip: float = 7.0
    """Thickness, millimetres."""
    lower_lip: float = 9.0
    bow: float = 1.5
    """Depth of the upper lip's bow, millimetres."""


@dataclass(frozen=True)
class Hair:
    """Hair of head and chin."""

    style: str = "short"
    """One of `HAIR_STYLES`."""
    tone: Colour = HAIR["dark"]
    line: float = -62.0
    """Where the hair begins on the forehead, millimetres down (negative: up)."""
    peak: float = 0.0
    """How far the line comes down in the middle, millimetres."""
    corners: float = 6.0
    """How far it draws back above the temples, millimetres."""
    volume: float = 1.0
    """A factor on its thickness."""
    part: float = 0.3
    """Side of the parting, -1 to 1."""
    length: float = 120.0
    """Where long hair ends, millimetres down."""
    beard: str = "none"
    """One of `BEARDS`."""
    beard_tone: Colour = HAIR["dark"]
    beard_density: float = 0.7
    """How thick it grows, in [0, 1]."""


@dataclass(frozen=True)
class Wear:
    """What a person always wears; a person may leave the glasses at home (`View.glasses`)."""

    glasses: str = "none"
    """One of `GLASSES`."""
    frame: Colour = (0.02, 0.02, 0.02)
    rim: float = 2.0
    """Thickness of the frame, millimetres."""
    tint: float = 0.05
    """Darkness of the lenses, in [0, 1]."""
    clothes: str = "tee"
    """One of `CLOTHES`."""
    cloth: Colour = (0.2, 0.2, 0.2)
    pattern: float = 0.0
    """Stripes: 0 none, to 0.6 across, above that along."""


@dataclass(frozen=True)
class Person:
    """Identity parameters. Equal persons are rendered with equal faces.

    seed: also draws what has no name: where each mole is, which hair lies where.
    shape: one value per name of `SHAPE_NAMES`, in standard deviations.
    """

    seed: int
    shape: tuple[float, ...]
    nose: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Height, width of the bridge and width of the tip, factors."""
    years: float = 35.0
    ears: tuple[float, float] = (1.0, 0.3)
    """Size, a factor, and how far they stand out, in [0, 1]."""
    eyes: Eyes = field(default_factory=Eyes)
    brows: Brows = field(default_factory=Brows)
    skin: Skin = field(default_factory=Skin)
    hair: Hair = field(default_factory=Hair)
    wear: Wear = field(default_factory=Wear)

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn. Raises ValueError."""
        if len(self.shape) != len(SHAPE_NAMES):
            msg = f"A head has {len(SHAPE_NAMES)} values of shape, not {len(self.shape)}."
            raise ValueError(msg)
        for value, known in (
            (self.hair.style, HAIR_STYLES),
            (self.hair.beard, BEARDS),
            (self.wear.glasses, GLASSES),
            (self.wear.clothes, CLOTHES),
        ):
            if value not in known:
                msg = f'"{value}" is none of {", ".join(known)}.'
                raise ValueError(msg)

    @property
    def build(self) -> float:
        """How heavy the person is, in standard deviations."""
        return self.shape[SHAPE_NAMES.index("weight")]

    @classmethod
    def mean(cls) -> "Person":
        """Return the mean head with default looks."""
        return cls(0, (0.0,) * len(SHAPE_NAMES))

    @classmethod
    def from_seed(cls, seed: int) -> "Person":
        """Draw a person; the same seed gives the same person. Raises ValueError below 0."""
        # Loaded late: it draws what is declared here.
        from tools.lab.people.population import person  # noqa: PLC0415

        return person(seed)
