"""Keys of a device: made once, kept for itself, never replaced in silence."""

import pytest

from device.errors import ConfigurationError, StorageError
from device.identity import NAME, desk_keys, envelope_for, own_keys
from device.protocol.keys import PrivateKeys, encode_keys
from device.settings import (
    CameraSettings,
    DeskSettings,
    DeviceSettings,
    Settings,
    WatchlistSettings,
)


def settings_for(folder, public="desk.pub"):
    return Settings(
        DeviceSettings("s1", "d1", str(folder / "state")),
        CameraSettings("usb"),
        WatchlistSettings("w"),
        desk=DeskSettings(str(folder / public) if public else ""),
    )


def test_keys_are_made_once_and_only_the_owner_may_read_them(scratch):
    first = own_keys(scratch)
    assert own_keys(scratch).public == first.public
    assert (scratch / NAME).stat().st_mode & 0o777 == 0o600


def test_keys_are_never_shown():
    keys = PrivateKeys.generate()
    assert "<PrivateKeys>" in f"{keys} {keys!r}"
    assert keys.ed25519.hex() not in repr([keys])


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * 9000, b'{"ed25519": "AAAA"}'])
def test_damaged_keys_are_not_replaced(scratch, content):
    (scratch / NAME).write_bytes(content)
    with pytest.raises(StorageError, match="restore the file"):
        own_keys(scratch)
    assert (scratch / NAME).read_bytes() == content


def test_without_a_desk_nothing_starts(scratch):
    with pytest.raises(ConfigurationError, match=r"desk\.public_keys is missing"):
        desk_keys(settings_for(scratch, public=""))
    with pytest.raises(ConfigurationError, match="does not exist"):
        desk_keys(settings_for(scratch))


def test_the_desk_s_private_file_is_not_taken_for_its_public_one(scratch):
    (scratch / "desk.pub").write_bytes(encode_keys(PrivateKeys.generate()))
    with pytest.raises(ConfigurationError, match="public keys"):
        desk_keys(settings_for(scratch))


def test_an_envelope_comes_from_the_two_files(scratch):
    (scratch / "desk.pub").write_bytes(encode_keys(PrivateKeys.generate().public))
    assert envelope_for(settings_for(scratch)).client_id.startswith("passerby-")
