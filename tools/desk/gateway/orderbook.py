"""Orders in the database: numbering them, which are to be sent now, and what became of them.

One gateway at a time sends the orders of a device, in their order, because a device refuses an
older one after a newer (`device.protocol.order.OrderBook`). Which one is a lease in the device's
lane, not a lock: it is free again soon after a gateway has died (`leases`). A device that was
reported stolen gets nothing but the order to end.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, and_, exists, or_, select, update

from device.errors import ConfigurationError, MessageError
from device.protocol.envelope import desk_source
from device.protocol.event import encode_event
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.keys import PublicKeys
from device.protocol.order import (
    Action,
    Adjudication,
    AdjudicationData,
    Command,
    CommandData,
    Order,
    Verdict,
    check_order,
)
from tools.desk.gateway.database import Database
from tools.desk.gateway.leases import take_lease
from tools.desk.gateway.tables import devices, orders, stolen

_ADJUDICATE = "adjudicate"
_END = "end"
OrderState = Literal["waiting", "sent", "obeyed", "expired", "overtaken"]


@dataclass(frozen=True, slots=True)
class Due:
    """An order to be sent now. keys: the device's public key file."""

    id: str
    source: str
    keys: str
    expires_at: str
    action: str
    event: str

    @property
    def order(self) -> Order:
        """The order itself. Raises MessageError."""
        return _read(self.event, self.action)


@dataclass(frozen=True, slots=True)
class Given:
    """An order as a person looks at it."""

    source: str
    sequence: int
    id: str
    action: str
    given_at: str
    expires_at: str
    state: OrderState


class Orders:
    """The orders of all devices. Every method raises StorageError."""

    def __init__(self, database: Database, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def command(  # noqa: PLR0913, PLR0917 - what an order says
        self,
        desk: PublicKeys,
        device: str,
        valid_s: float,
        action: Action,
        reason: str,
        reference_id: str | None = None,
    ) -> Order:
        """Write down what a device shall do. Raises ConfigurationError, MessageError."""

        def make(common: dict[str, Any], data: dict[str, Any]) -> Order:
            content = CommandData(**data, action=action, reason=reason, reference_id=reference_id)
            return Command(**common, data=content)

        return self._give(desk, device, valid_s, action, make)

    def adjudication(
        self, desk: PublicKeys, device: str, valid_s: float, alert: str, outcome: Verdict
    ) -> Order:
        """Write down what was found of an alert. Raises ConfigurationError, MessageError."""

        def make(common: dict[str, Any], data: dict[str, Any]) -> Order:
            return Adjudication(
                **common, data=AdjudicationData(**data, alert=alert, outcome=outcome)
            )

        return self._give(desk, device, valid_s, _ADJUDICATE, make)

    def due(self, holder: str, again_s: float, urgent: Sequence[str] = ()) -> list[Due]:
        """Return the orders that this gateway shall send now, in order.

        again_s: an order is repeated after this. urgent: devices whose orders go at once.
        """
        now_ns = self._now_ns()
        now, before = utc_text(now_ns), utc_text(now_ns - int(again_s * 1e9))
        columns = (
            orders.c.id,
            orders.c.source,
            orders.c.action,
            orders.c.event,
            orders.c.expires_at,
        )
        with self._database.reading() as connection:
            rows = connection.execute(
                select(*columns, orders.c.published_at, devices.c.public_keys)
                .join(devices, devices.c.source == orders.c.source)
                .where(_open(), orders.c.expires_at > now, _may_hear())
                .order_by(orders.c.source, orders.c.sequence)
            ).all()
        ripe = {
            row.source
            for row in rows
            if row.published_at is None or row.published_at < before or row.source in urgent
        }
        mine = {
            source
            for source in sorted(ripe)
            if take_lease(self._database, source, "orders", holder, now_ns)
        }
        # All open ones of a device go, so that an older one is never behind a newer.
        return [
            Due(row.id, row.source, row.public_keys, row.expires_at, row.action, row.event)
            for row in rows
            if row.source in mine
        ]

    def published(self, sent: Sequence[str]) -> None:
        """Note that the broker has taken these orders."""
        with self._database.writing() as connection:
            connection.execute(
                update(orders)
                .where(orders.c.id.in_(sent))
                .values(published_at=utc_text(self._now_ns()))
            )

    def listing(self) -> list[Given]:
        """Return all orders, the newest first."""
        now = utc_text(self._now_ns())
        with self._database.reading() as connection:
            rows = connection.execute(select(orders).order_by(orders.c.given_at.desc())).all()
        return [
            Given(
                row.source,
                row.sequence,
                row.id,
                row.action,
                row.given_at,
                row.expires_at,
                _state(row, now),
            )
            for row in rows
        ]

    def _give(
        self,
        desk: PublicKeys,
        device: str,
        valid_s: float,
        action: str,
        make: Callable[[dict[str, Any], dict[str, Any]], Order],
    ) -> Order:
        now_ns = self._now_ns()
        now, expires_at = utc_text(now_ns), utc_text(now_ns + int(valid_s * 1e9))
        common = {"id": uuid7(now_ns), "source": desk_source(desk), "time": now}
        with self._database.writing() as connection:
            _check_stolen(connection, device, action)
            sequence = _next_sequence(connection, device)
            data = {"device": device, "sequence": sequence, "expires_at": expires_at}
            order = make(common, data)
            event = encode_event(order).decode()
            # What a device would refuse is refused here, where somebody can correct it.
            check_order(_read(event, action))
            connection.execute(
                orders.insert().values(
                    id=order.id,
                    source=device,
                    sequence=sequence,
                    action=action,
                    given_at=now,
                    expires_at=expires_at,
                    event=event,
                )
            )
        return order


def _open() -> Any:  # noqa: ANN401 - SQLAlchemy's expression
    return and_(orders.c.obeyed_at.is_(None), orders.c.overtaken_at.is_(None))


def _may_hear() -> Any:  # noqa: ANN401 - SQLAlchemy's expression
    """Whether a device is to hear this order; a stolen one hears no more than its end."""
    return or_(~exists().where(stolen.c.source == orders.c.source), orders.c.action == _END)


def _check_stolen(connection: Connection, device: str, action: str) -> None:
    reported = select(exists().where(stolen.c.source == device))
    if action != _END and connection.execute(reported).scalar():
        raise ConfigurationError(
            f"{device} is reported stolen: it gets no order but `end`. If it is back, set it up "
            "anew and add its new keys."
        )


def _next_sequence(connection: Connection, device: str) -> int:
    # The update takes the row's lock first, so that two people never get one number.
    counted = connection.execute(
        update(devices)
        .where(devices.c.source == device)
        .values(next_order_sequence=devices.c.next_order_sequence + 1)
    )
    if not counted.rowcount:
        raise ConfigurationError(
            f"The device {device} is not known: `passerby-desk devices list` shows all."
        )
    query = select(devices.c.next_order_sequence).where(devices.c.source == device)
    return int(connection.execute(query).scalar_one()) - 1


def _read(event: str, action: str) -> Order:
    kind: type[Order] = Adjudication if action == _ADJUDICATE else Command
    try:
        return msgspec.json.decode(event, type=kind)
    except msgspec.ValidationError as error:
        raise MessageError(f"This order cannot be given: {error}.") from error


def _state(row: Any, now: str) -> OrderState:  # noqa: ANN401 - a row
    if row.obeyed_at is not None:
        return "obeyed"
    if row.overtaken_at is not None:
        return "overtaken"
    if row.expires_at <= now:
        return "expired"
    return "sent" if row.published_at is not None else "waiting"
