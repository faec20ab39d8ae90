"""A person's head as a surface: mean head, features, identity modes, expression."""

from functools import cache, lru_cache

import numpy as np

from tools.lab.people.features import Hill, front, hills, lips, mean_features, nose
from tools.lab.people.fields import Floats, bump, noise, smooth, stretch_rows, unit
from tools.lab.people.grid import CHIN, LIP_LINE, grid, row_places
from tools.lab.people.modes import modes
from tools.lab.people.person import Person
from tools.lab.people.view import Expression

ROWS, COLUMNS = 256, 224
"""Resolution of the surfaces; what is finer than a millimetre is in the skin's texture."""
_WAVINESS_MM = 0.7
"""Deviation of the smooth random relief that gives each head what no mode names."""

_SMILE: tuple[Hill, ...] = (
    (25, 68, 10, 8, 5.0, -4.2, -2.0),  # corners of the mouth
    (36, 36, 15, 12, 1.5, -2.6, 3.2),  # cheeks
    (31, 9, 14, 4, 0, -1.3, 0.8),  # lower lids
    (12, 63, 12, 6, 0.8, -1.2, -0.8),  # upper lip
    (13.5, 42, 6, 6, 1.2, -0.4, 0),  # wings of the nose
    (33, 58, 3.5, 12, 0, 0, -1.6),  # folds beside the mouth
    (45, 66, 9, 14, 1.5, 0, 2.0),  # what they push aside
)
_RAISED: tuple[Hill, ...] = ((28, -20, 22, 9, 0, -4.5, 0.6), (0, -24, 14, 10, 0, -2.5, 0))
_FROWN: tuple[Hill, ...] = ((14, -16, 9, 8, -2.4, 3.0, 1.0), (30, -15, 12, 7, -0.6, 1.6, 0))
_PUCKER: tuple[Hill, ...] = ((24, 68, 12, 11, -5.5, 0, 1.0), (0, 68, 15, 10, 0, 0, 4.0))


@lru_cache(maxsize=64)
def neutral(person: Person) -> Floats:
    """Return the calm head, (ROWS, COLUMNS, 3) float32 millimetres: x left, y down, z forward."""
    where = grid(ROWS, COLUMNS)
    head = where.mean + mean_features(ROWS, COLUMNS)
    head[..., 2] += nose(where, *person.nose)
    head[..., 2] += lips(where, person.skin.upper_lip, person.skin.lower_lip)
    coefficients = np.array(person.shape, np.float32)
    head += (coefficients @ modes(ROWS, COLUMNS)).reshape(head.shape)
    return head + _waves(person.seed)


def _waves(seed: int) -> Floats:
    rng = np.random.default_rng([seed, 1])
    places = row_places(ROWS)
    relief = [stretch_rows(noise(rng, (ROWS, COLUMNS), (9, 8)), places) for _ in range(3)]
    away = front(ROWS, COLUMNS) * smooth(-80, -55, grid(ROWS, COLUMNS).down)
    return np.moveaxis(np.stack(relief) * (_WAVINESS_MM * away), 0, -1).astype(np.float32)


@cache
def _moves() -> Floats:
    where = grid(ROWS, COLUMNS)
    tables = (_SMILE, _RAISED, _FROWN, _PUCKER)
    return np.stack([*(hills(where, table) for table in tables), _opening()])


def _opening() -> Floats:
    """Return what opening the mouth fully does: lips part, the jaw turns down and back."""
    where = grid(ROWS, COLUMNS)
    beside = np.abs(where.across)
    part = np.sqrt(np.clip(1 - (beside / 27.0) ** 2, 0, 1))
    under = smooth(LIP_LINE - 0.8, LIP_LINE + 0.8, where.down)
    lip = under * part * bump(beside, np.maximum(where.down, LIP_LINE), (0, LIP_LINE), (99, 16))
    jaw = smooth(LIP_LINE - 2, 95, where.down) * smooth(150, CHIN, where.down)
    jaw *= smooth(75, 25, beside)
    inside = bump(beside, where.down, (0, LIP_LINE), (14, 0.8))
    move = np.zeros((*where.shape, 3), np.float32)
    move[..., 1] = 13 * lip + 12 * jaw * (1 - 0.6 * lip)
    move[..., 2] = -4.5 * jaw - 1.0 * lip - 3.0 * inside
    move[..., 0] = (
        -2.5 * bump(beside, where.down, (25, LIP_LINE), (9, 9)) * np.tanh(where.across / 4)
    )
    return move * front(ROWS, COLUMNS)[..., None]


def posed(person: Person, expression: Expression) -> Floats:
    """Return the head with its expression, (ROWS, COLUMNS, 3) float32 millimetres."""
    amounts = np.array(
        [
            expression.smile,
            expression.raised,
            expression.frown,
            expression.pucker,
            expression.mouth,
        ],
        np.float32,
    )
    head = neutral(person)
    if not amounts.any():
        return head
    return head + np.tensordot(amounts, _moves(), axes=1)


def normals(surface: Floats) -> Floats:
    """Return the outward unit normals of a surface grid, same shape."""
    along = np.empty_like(surface)
    along[:, 1:-1] = surface[:, 2:] - surface[:, :-2]
    along[:, 0], along[:, -1] = surface[:, 1] - surface[:, 0], surface[:, -1] - surface[:, -2]
    downward = np.empty_like(surface)
    downward[1:-1] = surface[2:] - surface[:-2]
    downward[0], downward[-1] = surface[1] - surface[0], surface[-1] - surface[-2]
    x1, y1, z1 = along[..., 0], along[..., 1], along[..., 2]
    x2, y2, z2 = downward[..., 0], downward[..., 1], downward[..., 2]
    out = np.stack([y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2], axis=-1)
    return unit(out)
