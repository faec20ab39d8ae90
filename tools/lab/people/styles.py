"""Which hair and which beard people wear."""

from tools.lab.people.fields import Rng

_OLDER = 45.0
_SHORT = {
    "short": 5, "side": 4, "quiff": 3, "fringe": 2, "buzz": 2, "bald": 0.8, "receding": 1.2,
    "ring": 0.5, "curly": 1, "long": 0.4,
}  # fmt: skip
_SHORT_CURLY = {
    "short": 2, "side": 0.3, "buzz": 5, "bald": 2, "receding": 0.6, "ring": 0.4, "curly": 3,
    "afro": 2.5,
}  # fmt: skip
_LONG = {
    "long": 5, "long_fringe": 2, "bob": 3, "waves": 4, "tied": 3, "bun": 1, "short": 0.7,
    "side": 0.8, "curly": 1, "fringe": 0.6,
}  # fmt: skip
_LONG_CURLY = {
    "long": 1, "bob": 1, "waves": 3, "tied": 3, "bun": 2, "short": 1, "curly": 4, "afro": 3.5,
}  # fmt: skip
_THINNING = ("bald", "receding", "ring")
_BEARDS = {
    "none": 0.36, "shadow": 0.17, "stubble": 0.18, "moustache": 0.04, "goatee": 0.06,
    "short": 0.11, "full": 0.08,
}  # fmt: skip


def style_of(rng: Rng, masculine: float, years: float, *, curly: bool) -> str:
    """Draw a hair style of `person.HAIR_STYLES`."""
    if masculine > 0:
        weights = dict(_SHORT_CURLY if curly else _SHORT)
        if years > _OLDER:
            weights |= {name: 3 * weights[name] for name in _THINNING}
    else:
        weights = _LONG_CURLY if curly else _LONG
    return _drawn(rng, weights)


def beard_of(rng: Rng, masculine: float) -> str:
    """Draw a beard of `person.BEARDS`."""
    return _drawn(rng, _BEARDS) if masculine > 0 else "none"


def _drawn(rng: Rng, weights: dict[str, float]) -> str:
    total = sum(weights.values())
    return str(rng.choice(list(weights), p=[weight / total for weight in weights.values()]))
