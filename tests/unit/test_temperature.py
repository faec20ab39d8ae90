"""The thermometer reads what a kernel shows, and takes nothing else for a temperature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.cli.doctor import _heat
from device.errors import NotArmedError
from device.settings import VisionSettings
from device.temperature import Reading, Thermometer
from tests.simulators.board import folder

VISION = VisionSettings()


def zone(root, number, kind, text):
    place = root / f"class/thermal/thermal_zone{number}"
    place.mkdir(parents=True)
    (place / "type").write_text(kind + "\n")
    (place / "temp").write_bytes(text if isinstance(text, bytes) else f"{text}\n".encode())


def test_a_pi_says_its_temperature_and_its_flags(tmp_path):
    folder(tmp_path, 61.3, flags=0)
    assert Thermometer(tmp_path).read() == Reading(61.3, slowed=False, undervolted=False)


def test_where_nothing_is_shown_nothing_is_known(tmp_path):
    assert Thermometer(tmp_path).read() == Reading(None, None, None)
    assert Thermometer(tmp_path / "missing").read() == Reading()


def test_the_pis_own_zone_comes_before_a_hotter_one(tmp_path):
    zone(tmp_path, 0, "soc-thermal", 90_000)
    zone(tmp_path, 1, "cpu-thermal", 50_000)
    assert Thermometer(tmp_path).read().celsius == 50


def test_elsewhere_the_hottest_zone_of_a_processor_counts(tmp_path):
    zone(tmp_path, 0, "acpitz", 99_000)
    zone(tmp_path, 1, "x86_pkg_temp", 55_000)
    zone(tmp_path, 2, "cpu1-thermal", 57_500)
    zone(tmp_path, 3, "iwlwifi_1", 98_000)
    assert Thermometer(tmp_path).read().celsius == 57.5


@pytest.mark.parametrize("text", ["", "warm", "-1000000", "999999", b"\xff\xfe", "5.0", "0x40"])
def test_what_is_no_temperature_is_not_known(tmp_path, text):
    zone(tmp_path, 0, "cpu-thermal", text)
    assert Thermometer(tmp_path).read().celsius is None


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_whatever_stands_there_it_does_not_raise(tmp_path_factory, temp, flags):
    root = folder(tmp_path_factory.mktemp("sys"), 50, flags=0)
    (root / "class/thermal/thermal_zone0/temp").write_bytes(temp)
    (root / "devices/platform/soc/soc:firmware/get_throttled").write_bytes(flags)
    read = Thermometer(root).read()
    assert read.celsius is None or -40 <= read.celsius <= 150
    assert read.slowed in {None, True, False}


def test_a_folder_in_the_place_of_a_file_is_not_known(tmp_path):
    (tmp_path / "class/thermal/thermal_zone0/temp").mkdir(parents=True)
    assert Thermometer(tmp_path).read().celsius is None


@pytest.mark.parametrize(
    ("flags", "slowed", "undervolted"),
    [
        (0x0, False, False),
        (0x1, False, True),
        (0x2, True, False),
        (0x4, True, False),
        (0x8, True, False),
        (0x50005, True, True),
        # It has been so since the start, and is not so now.
        (0xF0000, False, False),
    ],
)
def test_the_flags_that_hold_now_count(tmp_path, flags, slowed, undervolted):
    read = Thermometer(folder(tmp_path, 50, flags=flags)).read()
    assert (read.slowed, read.undervolted) == (slowed, undervolted)


def test_the_flags_of_a_board_whose_folder_carries_an_address(tmp_path):
    place = tmp_path / "devices/platform/soc@107c000000/soc@107c000000:firmware"
    place.mkdir(parents=True)
    (place / "get_throttled").write_text("4\n")
    assert Thermometer(tmp_path).read().slowed is True


def test_the_doctor_says_what_can_be_read(tmp_path):
    assert _heat(VISION, Thermometer(folder(tmp_path / "pi", 51, flags=0))) == (
        "51 °C, limit 78; not throttled"
    )
    said = _heat(VISION, Thermometer(tmp_path / "nowhere"))
    assert "cannot be read" in said
    assert "throttling is not known" in said


@pytest.mark.parametrize(
    ("celsius", "flags", "says"), [(79, 0, "79"), (50, 4, "slows"), (50, 1, "power")]
)
def test_the_doctor_asks_for_air_or_power(tmp_path, celsius, flags, says):
    with pytest.raises(NotArmedError, match=says):
        _heat(VISION, Thermometer(folder(tmp_path, celsius, flags=flags)))
