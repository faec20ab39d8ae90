"""The key of a list: who gets it, once, and who does not (R49, R24)."""

import msgspec
import pytest

from device.errors import ConfigurationError, MessageError
from device.protocol.alert import ListVersion
from device.protocol.envelope import Envelope, desk_source
from device.protocol.identifiers import utc_ns, utc_text, uuid7
from device.protocol.keys import PrivateKeys
from device.protocol.order import OrderBook
from device.protocol.refusals import ForgedError, MisaddressedError
from device.protocol.topics import Topics
from device.protocol.unlocking import (
    OneTimeKeys,
    Unlock,
    UnlockData,
    check_unlock,
    unwrap_key,
    wrap_key,
)
from device.unlock import PAUSES_S, Unlocking, Wanted
from tools.desk.devices import Register
from tools.desk.gateway.database import Database
from tools.desk.gateway.intake import Asked, Dropped
from tools.desk.gateway.orderbook import Orders
from tools.desk.gateway.tables import stolen_keys
from tools.desk.gateway.unlocker import EVERY_S, Unlocker
from tools.desk.gateway.unlocking import Current, Unlocks

NOW_NS = 1_790_000_000_123_000_000
TOPICS, OTHER = Topics("s1", "d1"), Topics("s1", "d2")
DEPLOYMENT, ANOTHER = uuid7(NOW_NS), uuid7(NOW_NS)
KEY = bytes(range(32))
DESK, DEVICE = PrivateKeys.generate(), PrivateKeys.generate()
WANTED = Wanted(DEPLOYMENT, ListVersion("list-1", 3), "ab" * 32)


# --- The wrapped key ---------------------------------------------


@pytest.mark.parametrize("suite", ["x25519", "mlkem768-x25519"])
def test_a_wrapped_key_opens_for_its_recipient_its_device_and_its_deployment_only(suite):
    own = OneTimeKeys()
    wrapped = wrap_key(KEY, own.public, TOPICS.source, DEPLOYMENT, suite)
    assert unwrap_key(wrapped, own, TOPICS.source, DEPLOYMENT) == KEY
    assert KEY not in wrapped
    with pytest.raises(ForgedError):
        unwrap_key(wrapped, own, OTHER.source, DEPLOYMENT)
    with pytest.raises(ForgedError):
        unwrap_key(wrapped, own, TOPICS.source, ANOTHER)
    for keys in (DEVICE, DESK, OneTimeKeys()):
        with pytest.raises(MisaddressedError):
            unwrap_key(wrapped, keys, TOPICS.source, DEPLOYMENT)
    assert wrap_key(KEY, own.public, TOPICS.source, DEPLOYMENT, suite) != wrapped


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_what_is_no_key_of_a_deployment_is_not_wrapped(length):
    with pytest.raises(MessageError, match="32 bytes"):
        wrap_key(bytes(length), DEVICE.public, TOPICS.source, DEPLOYMENT)


def test_keys_for_one_answer_are_new_each_time_and_show_nothing():
    one, two = OneTimeKeys(), OneTimeKeys()
    assert one.public.key_id != two.public.key_id
    assert repr(one) == "<OneTimeKeys>"
    # No secret of theirs is a Python object that could not be overwritten.
    assert not any(isinstance(value, bytes | bytearray) for value in vars(one).values())


# --- The device asks ---------------------------------------------


class Device:
    """An `Unlocking` and what it did. clock: seconds on the monotonic clock."""

    def __init__(self):
        self.clock = 1000.0
        self.requests, self.answers, self.refusals = [], [], []
        self.unlocking = Unlocking(
            TOPICS.source, self.requests.append, self.answers.append, self.refusals.append
        )

    def tick(self, after_s=0.0):
        self.clock += after_s
        self.unlocking.tick(self.clock, NOW_NS)

    def hears(self, unlock):
        self.unlocking.take(unlock)
        self.tick()

    @property
    def keys(self):
        return self.unlocking._keys


def answered(request, /, *, refusal=None, time_ns=NOW_NS, **changes):
    """Return what the desk says to a request."""
    data = request.data
    wrapped = None
    if refusal is None:
        wrapped = wrap_key(KEY, data.keys, TOPICS.source, data.deployment, "x25519")
    content = UnlockData(TOPICS.source, request.id, data.nonce, data.deployment, wrapped, refusal)
    content = msgspec.structs.replace(content, **changes)
    return Unlock(uuid7(time_ns), desk_source(DESK.public), utc_text(time_ns), content)


@pytest.fixture
def device():
    one = Device()
    one.unlocking.begin(WANTED)
    one.tick()
    return one


def test_the_key_comes_once_with_the_desks_time_and_the_asking_ends(device):
    (request,) = device.requests
    assert (request.data.deployment, request.data.watchlist) == (DEPLOYMENT, WANTED.watchlist)
    assert "until the desk has opened it" in device.unlocking.reason
    device.tick(after_s=2.5)
    device.hears(answered(request, time_ns=NOW_NS + 7_000_000_000))
    (answer,) = device.answers
    assert (answer.key, answer.refusal) == (bytearray(KEY), None)
    assert isinstance(answer.key, bytearray)
    assert (answer.desk_ns, answer.waited_s) == (utc_ns(utc_text(NOW_NS)) + 7_000_000_000, 2.5)
    assert KEY.hex() not in repr(answer)
    assert (device.unlocking.reason, device.keys) == (None, None)
    device.tick(after_s=10_000)
    assert len(device.requests) == 1


def test_an_answer_counts_once(device):
    answer = answered(device.requests[0])
    device.hears(answer)
    device.hears(answer)
    assert len(device.answers) == 1
    assert device.refusals == ["ReplayedError: An answer of the desk came, and nothing was asked."]


def test_a_recorded_answer_is_of_no_use_to_the_next_start():
    first = Device()
    first.unlocking.begin(WANTED)
    first.tick()
    recorded = answered(first.requests[0])
    second = Device()
    second.unlocking.begin(WANTED)
    second.tick()
    second.hears(recorded)
    assert (second.answers, len(second.refusals)) == ([], 1)
    # Even under the name of the new request, its key is sealed for keys that are gone.
    request = second.requests[0]
    renamed = msgspec.structs.replace(recorded.data, request=request.id, nonce=request.data.nonce)
    second.hears(msgspec.structs.replace(recorded, data=renamed))
    assert second.answers == []
    assert second.refusals[-1].startswith("MisaddressedError")


def test_only_the_answer_to_the_newest_request_counts(device):
    older = answered(device.requests[0])
    device.tick(after_s=PAUSES_S[0])
    assert len(device.requests) == 2
    device.hears(older)
    assert device.answers == []
    assert "not the one to the newest request" in device.refusals[0]
    device.hears(answered(device.requests[1]))
    assert device.answers[0].key == KEY


@pytest.mark.parametrize(
    "changes",
    [{"nonce": bytes(32)}, {"request": uuid7(NOW_NS)}, {"deployment": ANOTHER}],
    ids=lambda changes: next(iter(changes)),
)
def test_an_answer_to_something_else_does_nothing(device, changes):
    device.hears(answered(device.requests[0], **changes))
    assert (device.answers, len(device.refusals)) == ([], 1)
    device.hears(answered(device.requests[0]))
    assert device.answers[0].key == KEY, "and does not use up the question"


def test_a_damaged_key_does_not_use_up_the_question(device):
    good = answered(device.requests[0])
    wrapped = good.data.wrapped_key
    device.hears(answered(device.requests[0], wrapped_key=wrapped[:-1] + b"\0"))
    assert (device.answers, len(device.refusals)) == ([], 1)
    device.hears(good)
    assert device.answers[0].key == KEY


def test_it_asks_again_more_and_more_seldom_each_time_anew(device):
    for pause_s in (*PAUSES_S, PAUSES_S[-1]):
        count = len(device.requests)
        device.tick(after_s=0.74 * pause_s)
        assert len(device.requests) == count, "too soon"
        device.tick(after_s=0.27 * pause_s)
        assert len(device.requests) == count + 1
    assert len({request.id for request in device.requests}) == len(device.requests)
    assert len({request.data.nonce for request in device.requests}) == len(device.requests)
    assert len({request.data.keys.key_id for request in device.requests}) == 1, "of one start"


def test_a_new_round_has_new_keys_and_the_old_answer_is_of_no_use(device):
    old = answered(device.requests[0])
    device.unlocking.begin(WANTED)
    device.tick()
    first, second = device.requests
    assert first.data.keys.key_id != second.data.keys.key_id
    device.hears(old)
    assert device.answers == []


@pytest.mark.parametrize("refusal", ["reported stolen", "ended"])
def test_a_final_refusal_ends_the_asking_and_the_keys(device, refusal):
    device.hears(answered(device.requests[0], refusal=refusal))
    (answer,) = device.answers
    assert (answer.key, answer.refusal) == (None, refusal)
    assert device.keys is None
    assert device.unlocking.reason.startswith("The desk does not open the watchlist")
    device.tick(after_s=100_000)
    assert len(device.requests) == 1


def test_an_unknown_deployment_is_asked_about_again_seldom(device):
    device.hears(answered(device.requests[0], refusal="unknown"))
    assert device.answers[0].refusal == "unknown"
    assert "publish the list" in device.unlocking.reason
    device.hears(answered(device.requests[0]))
    assert len(device.answers) == 1, "a refusal, too, is the one answer to its question"
    device.tick(after_s=PAUSES_S[0])
    device.tick(after_s=PAUSES_S[-1])
    device.hears(answered(device.requests[-1]))
    assert device.answers[-1].key == KEY


def test_after_the_stop_nothing_is_asked_and_no_answer_counts(device):
    device.unlocking.stop()
    device.hears(answered(device.requests[0]))
    device.tick(after_s=1000)
    assert (device.answers, len(device.requests), device.keys) == ([], 1, None)


def test_an_answer_gives_a_key_or_a_refusal(device):
    good = answered(device.requests[0])
    for changes in ({"refusal": "ended"}, {"wrapped_key": None}):
        data = msgspec.structs.replace(good.data, **changes)
        with pytest.raises(MessageError, match="only one of them"):
            check_unlock(msgspec.structs.replace(good, data=data))


def test_an_answer_is_no_order(device):
    """It has no number, so that it can neither be obeyed nor stand in an order's way."""
    assert "sequence" not in UnlockData.__struct_fields__
    assert OrderBook(TOPICS.source).sequence == 0


# --- The desk answers --------------------------------------------


@pytest.fixture
def database(tmp_path):
    one = Database(f"sqlite:///{tmp_path / 'desk.db'}")
    register = Register(one)
    for topics in (TOPICS, OTHER):
        register.add(topics, PrivateKeys.generate().public, utc_text(0))
    yield one
    one.close()


@pytest.fixture
def unlocks(database):
    one = Unlocks(database, lambda: NOW_NS)
    one.keep(DEPLOYMENT, [TOPICS.source], KEY, DESK.public)
    return one


def asked(unlocks, device, *, source=TOPICS.source, desk=DESK):
    """Ask the desk as a device; return the key, or the refusal."""
    device.tick(after_s=PAUSES_S[-1])
    device.hears(unlocks.answer(source, device.requests[-1], desk))
    answer = device.answers[-1]
    return bytes(answer.key) if answer.key is not None else answer.refusal


def test_a_device_of_the_deployment_gets_its_key(unlocks, device):
    assert asked(unlocks, device) == KEY
    (row,) = unlocks.listing()
    assert (row.source, row.outcome, row.deployment) == (TOPICS.source, "unlocked", DEPLOYMENT)
    assert (row.watchlist, row.version, row.sealed_sha256) == ("list-1", 3, "ab" * 32)
    assert row.request == device.requests[-1].id


def test_a_device_that_is_reported_stolen_gets_no_key(unlocks, device, database):
    Register(database).report_stolen(TOPICS, utc_text(NOW_NS))
    assert asked(unlocks, device) == "reported stolen"
    assert [row.outcome for row in unlocks.listing()] == ["reported stolen"]


def test_the_same_request_is_refused_once_the_device_is_reported_stolen(unlocks, device, database):
    request = device.requests[0]
    unlocks.answer(TOPICS.source, request, DESK)
    Register(database).report_stolen(TOPICS, utc_text(NOW_NS))
    assert unlocks.answer(TOPICS.source, request, DESK).data.refusal == "reported stolen"
    assert {row.outcome for row in unlocks.listing()} == {"unlocked", "reported stolen"}


def test_a_revoked_device_gets_no_key(unlocks, device, database):
    Register(database).revoke(TOPICS, utc_text(NOW_NS))
    assert asked(unlocks, device) == "unknown"


def test_a_device_of_another_deployment_gets_no_key(unlocks, device):
    request = device.requests[0]
    assert unlocks.answer(OTHER.source, request, DESK).data.refusal == "unknown"


def test_a_device_that_was_taken_out_of_the_deployment_gets_no_key(unlocks, device):
    unlocks.keep(DEPLOYMENT, [OTHER.source], KEY, DESK.public)
    assert asked(unlocks, device) == "unknown"


def test_a_deployment_that_the_desk_has_no_key_of_is_unknown(database, device):
    assert asked(Unlocks(database, lambda: NOW_NS), device) == "unknown"


def test_a_destroyed_key_is_never_handed_out(unlocks, device):
    unlocks.destroy(DEPLOYMENT)
    assert asked(unlocks, device) == "ended"
    unlocks.destroy(DEPLOYMENT)
    assert [row.outcome for row in unlocks.listing()] == ["ended"]


def test_a_destroyed_key_does_not_come_back(unlocks, device):
    unlocks.destroy(DEPLOYMENT)
    with pytest.raises(ConfigurationError, match="has ended and its key was destroyed"):
        unlocks.keep(DEPLOYMENT, [TOPICS.source], KEY, DESK.public)
    assert asked(unlocks, device) == "ended"


def test_a_deployment_that_ended_before_its_key_came_stays_ended(database, device):
    unlocks = Unlocks(database, lambda: NOW_NS)
    unlocks.destroy(DEPLOYMENT)
    with pytest.raises(ConfigurationError):
        unlocks.keep(DEPLOYMENT, [TOPICS.source], KEY, DESK.public)
    assert asked(unlocks, device) == "ended"


def test_nothing_of_a_destroyed_key_stays_in_the_files(unlocks, database, tmp_path):
    with database.reading() as connection:
        wrapped = connection.exec_driver_sql("SELECT wrapped_key FROM deployment_keys").scalar()
    piece = bytes(wrapped)[40:72]
    assert any(piece in path.read_bytes() for path in tmp_path.iterdir())
    unlocks.destroy(DEPLOYMENT)
    assert not any(piece in path.read_bytes() for path in tmp_path.iterdir())


def test_what_could_not_be_overwritten_while_somebody_read_is_overwritten_later(
    unlocks, database, tmp_path
):
    with database.reading() as reader:
        wrapped = reader.exec_driver_sql("SELECT wrapped_key FROM deployment_keys").scalar()
        database_is_read = Database(f"sqlite:///{tmp_path / 'desk.db'}")
        other = Unlocks(database_is_read, lambda: NOW_NS)
        # Waiting for the reader would take as long as it reads.
        database_is_read._engine.dispose()
        database_is_read._engine = _impatient(database_is_read)
        other.destroy(DEPLOYMENT)
        assert not other.overwrite_destroyed()
    assert unlocks.overwrite_destroyed()
    database_is_read.close()
    piece = bytes(wrapped)[40:72]
    assert not any(piece in path.read_bytes() for path in tmp_path.iterdir())


def _impatient(database):
    from sqlalchemy import create_engine, event  # noqa: PLC0415

    from tools.desk.gateway import database as module  # noqa: PLC0415

    engine = create_engine(database._url, connect_args={"timeout": 0.1})
    event.listen(engine, "connect", module._set_pragmas)
    event.listen(engine, "begin", module._begin)
    return engine


def test_the_database_alone_holds_no_key(unlocks, tmp_path):
    assert unlocks.overwrite_destroyed()
    for path in tmp_path.iterdir():
        assert KEY not in path.read_bytes()


def test_a_desk_with_other_keys_cannot_open_what_is_kept(unlocks, device, caplog):
    assert asked(unlocks, device, desk=PrivateKeys.generate()) == "unknown"
    assert "publish its list again" in caplog.text


def test_a_stolen_device_hears_nothing_but_its_end(database):
    orders = Orders(database, lambda: NOW_NS)
    orders.command(DESK.public, TOPICS.source, 600, "suspend", "Given before.")
    Register(database).report_stolen(TOPICS, utc_text(NOW_NS))
    end = orders.command(DESK.public, TOPICS.source, 600, "end", "Reported stolen.")
    with pytest.raises(ConfigurationError, match="no order but `end`"):
        orders.command(DESK.public, TOPICS.source, 600, "resume", "Come back.")
    with pytest.raises(ConfigurationError, match="no order but `end`"):
        orders.adjudication(DESK.public, TOPICS.source, 600, uuid7(NOW_NS), "confirmed")
    assert [due.id for due in orders.due("g", 30)] == [end.id]


def test_a_stolen_device_comes_back_only_with_new_keys_and_opens_nothing_by_itself(
    unlocks, database, device
):
    register = Register(database)
    register.report_stolen(TOPICS, utc_text(NOW_NS))
    (old,) = [one.keys for one in register.listing() if one.source == TOPICS.source]
    with pytest.raises(ConfigurationError, match="set it up anew"):
        register.add(TOPICS, old, utc_text(NOW_NS))
    assert asked(unlocks, device) == "reported stolen"
    register.add(TOPICS, PrivateKeys.generate().public, utc_text(NOW_NS))
    again = Device()
    again.unlocking.begin(WANTED)
    assert asked(unlocks, again) == "unknown"


def test_the_keys_of_a_stolen_device_never_come_back_by_any_way(database):
    register = Register(database)
    register.report_stolen(TOPICS, utc_text(NOW_NS))
    (old,) = [one.keys for one in register.listing() if one.source == TOPICS.source]
    with pytest.raises(ConfigurationError, match="reported stolen"):
        register.add(Topics("s1", "d9"), old, utc_text(NOW_NS))
    register.add(TOPICS, PrivateKeys.generate().public, utc_text(NOW_NS))
    register.revoke(TOPICS, utc_text(NOW_NS))
    new = PrivateKeys.generate().public
    parts = [{name: getattr(old, name)} for name in ("ed25519", "x25519", "mlkem768")]
    for stolen in (old, *(msgspec.structs.replace(new, **part) for part in parts)):
        for topics in (TOPICS, OTHER, Topics("s1", "d9")):
            with pytest.raises(ConfigurationError, match="reported stolen"):
                register.add(topics, stolen, utc_text(NOW_NS))
    register.add(TOPICS, new, utc_text(NOW_NS))


def test_what_was_reported_stolen_before_this_was_remembered_does_not_come_back(database):
    register = Register(database)
    register.report_stolen(TOPICS, utc_text(NOW_NS))
    (old,) = [one.keys for one in register.listing() if one.source == TOPICS.source]
    with database.writing() as connection:
        connection.execute(stolen_keys.delete())
    register.add(TOPICS, PrivateKeys.generate().public, utc_text(NOW_NS))
    register.revoke(TOPICS, utc_text(NOW_NS))
    with pytest.raises(ConfigurationError, match="reported stolen"):
        register.add(TOPICS, old, utc_text(NOW_NS))


@pytest.mark.parametrize("anew", [True, False])
@pytest.mark.parametrize("published_meanwhile", [True, False])
def test_a_device_that_comes_back_opens_nothing_before_a_list_is_published_again(
    unlocks, database, device, anew, published_meanwhile
):
    register = Register(database)
    (keys,) = [one.keys for one in register.listing() if one.source == TOPICS.source]
    register.revoke(TOPICS, utc_text(NOW_NS))
    if published_meanwhile:
        unlocks.keep(DEPLOYMENT, [TOPICS.source], KEY, DESK.public)
    register.add(TOPICS, PrivateKeys.generate().public if anew else keys, utc_text(NOW_NS))
    assert asked(unlocks, device) == "unknown"
    unlocks.keep(DEPLOYMENT, [TOPICS.source], KEY, DESK.public)
    again = Device()
    again.unlocking.begin(WANTED)
    assert asked(unlocks, again) == KEY


def test_a_device_that_is_added_twice_keeps_its_list(unlocks, database, device):
    register = Register(database)
    (keys,) = [one.keys for one in register.listing() if one.source == TOPICS.source]
    register.add(TOPICS, keys, utc_text(NOW_NS))
    assert asked(unlocks, device) == KEY


def test_only_a_device_that_is_there_can_be_reported_stolen(database):
    with pytest.raises(ConfigurationError, match="not known"):
        Register(database).report_stolen(Topics("s1", "d9"), utc_text(NOW_NS))


def test_a_device_that_asks_too_often_is_answered_once_a_second(unlocks, device):
    unlocker = Unlocker(unlocks, DESK)
    one = Asked(TOPICS.source, device.requests[0])
    device.tick(after_s=PAUSES_S[0])
    two = Asked(TOPICS.source, device.requests[1])
    other = Asked(OTHER.source, device.requests[0])
    found = unlocker.answers([one, Dropped("x"), two, other], 100.0)
    assert [answer is not None for answer in found] == [False, False, True, True]
    assert found[2].data.request == two.request.id, "the newest one"
    assert unlocker.answers([two], 100.0 + EVERY_S / 2) == [None]
    assert unlocker.answers([two], 100.0 + EVERY_S) != [None]


# --- The drill: a stolen card ------------------------------------


def test_a_thief_with_the_card_and_all_that_was_ever_sent_opens_nothing(unlocks, database):
    """R49: identity keys, recorded cells of a start that was answered, the gateway still online."""
    device = Envelope(DEVICE, DESK.public, TOPICS, "mlkem768-x25519")
    desk = Envelope(DESK, DEVICE.public, TOPICS, "mlkem768-x25519")
    honest = Device()
    honest.unlocking.begin(WANTED)
    honest.tick()
    request_cell = device.cell(honest.requests[0])
    asked_for = desk.open(request_cell, "request").message
    answer_cell = desk.cell(unlocks.answer(TOPICS.source, asked_for, DESK))
    honest.hears(device.open(answer_cell, "command").message)
    assert honest.answers[0].key == KEY, "the drill is real: an honest device is opened"

    Register(database).report_stolen(TOPICS, utc_text(NOW_NS))
    thief = device  # the card holds the same keys
    recorded = thief.open(answer_cell, "command").message
    assert recorded.data.wrapped_key is not None
    with pytest.raises(MisaddressedError):
        unwrap_key(recorded.data.wrapped_key, DEVICE, TOPICS.source, DEPLOYMENT)
    with pytest.raises(MessageError):
        thief.open(request_cell, "request")
    started = Device()
    started.unlocking.begin(WANTED)
    started.tick()
    replayed = desk.open(request_cell, "request").message
    for request in (started.requests[0], replayed):
        told = unlocks.answer(TOPICS.source, request, DESK)
        assert (told.data.wrapped_key, told.data.refusal) == (None, "reported stolen")
    started.hears(recorded)
    started.hears(told)
    assert [answer.key for answer in started.answers if answer.key is not None] == []


# --- Which list is in force --------------------------------------


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (Current(ListVersion("list-1", 3), "ab" * 32), KEY),
        (Current(ListVersion("list-1", 2), "cd" * 32), KEY),
        (Current(ListVersion("list-1", 4), "cd" * 32), "unknown"),
        (Current(ListVersion("list-1", 3), "cd" * 32), "unknown"),
        (Current(ListVersion("list-2", 3), "ab" * 32), "unknown"),
        (None, KEY),
    ],
    ids=["this one", "newer by stick", "superseded", "another file", "another list", "any"],
)
def test_no_key_is_given_for_a_list_that_is_not_in_force(unlocks, device, current, expected):
    unlocks.keep(DEPLOYMENT, [TOPICS.source], KEY, DESK.public, current)
    assert asked(unlocks, device) == expected


def test_another_deployments_devices_are_known_until_it_ends(unlocks):
    unlocks.keep(ANOTHER, [OTHER.source], KEY, DESK.public)
    assert unlocks.elsewhere(DEPLOYMENT) == {OTHER.source}
    unlocks.destroy(ANOTHER)
    assert unlocks.elsewhere(DEPLOYMENT) == set()
