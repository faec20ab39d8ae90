"""`device.toml`: what is refused, with which sentence, and that every key is documented."""

import re
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from device.configuration import documentation, parse_configuration, read_configuration
from device.errors import ConfigurationError
from device.settings import Settings

FILE = Path("/etc/passerby/device.toml")
TABLES = {
    "device": ['site = "site-1"', 'id = "door-1"'],
    "camera": ['kind = "stills"'],
    "watchlist": ['path = "list.passerby"'],
}
SECTIONS = {field.name: field.type for field in msgspec.structs.fields(Settings)}


def text_with(table="device", *lines):
    """The smallest valid file, with more lines in one table."""
    tables = {name: list(content) for name, content in TABLES.items()}
    tables.setdefault(table, []).extend(lines)
    return "\n".join(line for name in tables for line in (f"[{name}]", *tables[name]))


def refusal(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(text, FILE)
    sentence = str(caught.value)
    assert sentence.startswith(str(FILE))
    assert sentence.endswith((".", "?"))
    return sentence


def numbers():
    """Every setting that is a number: (table, key, lowest, highest)."""
    for table, section in SECTIONS.items():
        for field in inspect.type_info(section).fields:
            for kind in parts_of(field.type):
                if isinstance(kind, (inspect.IntType, inspect.FloatType)):
                    yield table, field.name, kind.ge, kind.le


def parts_of(kind):
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        return [part for whole in kind.types for part in parts_of(whole)]
    return [kind]


def described(kind):
    while isinstance(kind, inspect.Metadata):
        if (kind.extra_json_schema or {}).get("description", "").strip():
            return True
        kind = kind.type
    return False


def test_the_smallest_file_is_enough_and_gives_the_defaults():
    settings = parse_configuration(text_with(), FILE)
    assert (settings.device.site, settings.device.id) == ("site-1", "door-1")
    assert settings.device.demonstration is False
    assert settings.broker.tls is True
    assert settings.matching.threshold is None


def test_every_default_is_within_its_own_limits():
    settings = parse_configuration(text_with(), FILE)
    assert msgspec.convert(msgspec.to_builtins(settings), Settings) == settings


@pytest.mark.parametrize(
    ("table", "line", "hint"),
    [
        ("broker", "keepalive = 30", 'the key "keepalive" is unknown; did you mean "keepalive_s"?'),
        ("camera", "heigth = 480", 'the key "heigth" is unknown; did you mean "height"?'),
        ("device", "demonstraton = true", 'did you mean "demonstration"?'),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(table, line, hint):
    sentence = refusal(text_with(table, line))
    assert f"[{table}]" in sentence
    assert hint in sentence


def test_an_unknown_key_like_no_other_is_answered_with_all_keys():
    sentence = refusal(text_with("watchlist", "zzzz = 1"))
    assert 'the key "zzzz" is unknown; there are: path, root, unlock.' in sentence


def test_an_unknown_table_is_refused_with_the_one_that_was_meant():
    sentence = refusal(text_with("brokr", "port = 1883"))
    assert 'the table "brokr" is unknown; did you mean "broker"?' in sentence


def test_a_key_outside_all_tables_is_refused():
    assert '"colour" is unknown' in refusal("colour = true\n" + text_with())


@pytest.mark.parametrize(
    ("table", "line", "place"),
    [
        ("camera", 'width = "wide"', "camera.width"),
        ("broker", "port = 1883.0", "broker.port"),
        ("broker", "port = true", "broker.port"),
        ("broker", "tls = 1", "broker.tls"),
        ("broker", "ca_file = 3", "broker.ca_file"),
        ("vision", "yaw = [0.1]", "vision.yaw"),
        ("matching", 'threshold = "high"', "matching.threshold"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_the_name_of_its_key(table, line, place):
    assert f"{place}: " in refusal(text_with(table, line))


@pytest.mark.parametrize("line", ["device = 3", "device = []"])
def test_a_value_in_the_place_of_a_table_is_refused_by_its_name(line):
    rest = text_with().partition("[camera]")[2]
    assert "device: " in refusal(f"{line}\n[camera]{rest}")


@pytest.mark.parametrize(
    ("table", "line", "place"),
    [
        ("camera", 'pace = "slow"', "camera.pace"),
        ("broker", 'protocol = "4"', "broker.protocol"),
        ("models", 'edge_tpu = "on"', "models.edge_tpu"),
    ],
)
def test_a_word_that_is_not_among_the_allowed_is_refused(table, line, place):
    assert f"{place}: " in refusal(text_with(table, line))


@pytest.mark.parametrize("site", ["", "Main-Street", "a b", "a/b", "+", "x" * 33, "-a"])
def test_a_site_that_is_no_opaque_id_is_refused(site):
    text = text_with().replace('site = "site-1"', f'site = "{site}"')
    assert "device.site: " in refusal(text)


def test_every_number_has_a_lowest_and_a_highest_value():
    boundless = [f"{table}.{key}" for table, key, low, high in numbers() if None in (low, high)]
    assert not boundless


@pytest.mark.parametrize(("table", "key", "low", "high"), list(numbers()))
def test_a_number_out_of_range_is_refused_and_the_limits_are_accepted(table, key, low, high):
    assert None not in (low, high)
    for value in (low, high):
        settings = parse_configuration(text_with(table, f"{key} = {value}"), FILE)
        assert getattr(getattr(settings, table), key) == value
    for value in (low - 1, high + 1):
        assert f"{table}.{key}: " in refusal(text_with(table, f"{key} = {value}"))


@pytest.mark.parametrize(("table", "key", "low", "high"), list(numbers()))
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_no_finite_number_is_refused(table, key, low, high, value):
    assert f"{table}.{key}: " in refusal(text_with(table, f"{key} = {value}"))


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ('site = "site-1"', 'device: the key "site" is missing.'),
        ('id = "door-1"', 'device: the key "id" is missing.'),
        ('kind = "stills"', 'camera: the key "kind" is missing.'),
    ],
)
def test_a_missing_key_is_named(line, place):
    assert place in refusal(text_with().replace(line, ""))


def test_a_missing_table_is_named():
    without = re.sub(r"\[camera\][^\[]*", "", text_with())
    assert 'the key "camera" is missing' in refusal(without)


def test_an_empty_file_is_refused():
    assert 'the key "device" is missing' in refusal("")


@pytest.mark.parametrize("text", ["[device", "device: {}", 'site = "a"\nsite = "b"', "\x00"])
def test_what_is_not_toml_is_refused(text):
    assert "is not valid TOML" in refusal(text)


def test_a_file_that_is_not_utf8_is_refused_by_name(tmp_path):
    file = tmp_path / "device.toml"
    file.write_bytes(b"# caf\xe9\n" + text_with().encode())
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        read_configuration(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path):
    file = tmp_path / "none.toml"
    with pytest.raises(ConfigurationError, match="does not exist") as caught:
        read_configuration(file)
    assert str(file) in str(caught.value)


def test_a_folder_in_the_place_of_the_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        read_configuration(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("device", "state_directory"),
        ("camera", "path"),
        ("models", "directory"),
        ("watchlist", "path"),
        ("broker", "ca_file"),
        ("broker", "certificate_file"),
        ("broker", "key_file"),
        ("broker", "password_file"),
    ],
)
def test_a_relative_path_counts_from_the_files_folder(table, key, tmp_path):
    lines = text_with(table, f'{key} = "sub/thing"')
    if table == "watchlist":
        lines = text_with().replace("list.passerby", "sub/thing")
    file = tmp_path / "device.toml"
    file.write_text(lines, "utf-8")
    settings = read_configuration(file)
    assert getattr(getattr(settings, table), key) == str(tmp_path / "sub/thing")


def test_absolute_and_empty_paths_stay_as_they_are():
    settings = parse_configuration(text_with("broker", 'ca_file = "/etc/ssl/ca.pem"'), FILE)
    assert settings.broker.ca_file == "/etc/ssl/ca.pem"
    assert settings.broker.key_file == ""


def test_a_path_may_start_in_the_home_directory(monkeypatch):
    monkeypatch.setenv("HOME", "/home/technician")
    settings = parse_configuration(text_with("broker", 'ca_file = "~/ca.pem"'), FILE)
    assert settings.broker.ca_file == "/home/technician/ca.pem"


def test_the_home_directory_of_a_user_who_does_not_exist_is_refused():
    assert "broker.ca_file" in refusal(text_with("broker", 'ca_file = "~no-such-user/ca.pem"'))


@pytest.mark.parametrize("table", list(SECTIONS))
def test_every_setting_is_described(table):
    fields = inspect.type_info(SECTIONS[table]).fields
    assert fields
    assert not [field.name for field in fields if not described(field.type)]
    assert (SECTIONS[table].__doc__ or "").strip()


def test_the_documentation_has_a_full_line_for_every_setting():
    rows = [line for line in documentation().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert all(len(row) == 4 and all(row) for row in cells)
    documented = [row[0].strip("`") for row in cells]
    expected = [f.name for s in SECTIONS.values() for f in msgspec.structs.fields(s)]
    assert documented == expected


@pytest.mark.parametrize(
    ("table", "key", "value", "allowed"),
    [
        ("camera", "kind", '"picam"', '"picamera2"'),
        ("broker", "port", '"1883"', "1 to 65535"),
        ("camera", "frames_per_second", "600.0", "1 to 60"),
        ("matching", "threshold", "5.0", "0.2 to 0.99"),
    ],
)
def test_a_refused_value_comes_with_what_is_allowed(tmp_path, table, key, value, allowed):
    text = f"""
    [device]
    site = "s1"
    id = "d1"
    [camera]
    {"" if (table, key) == ("camera", "kind") else 'kind = "stills"'}
    {f"{key} = {value}" if table == "camera" else ""}
    [watchlist]
    path = "list"
    {"" if table == "camera" else f"[{table}]"}
    {"" if table == "camera" else f"{key} = {value}"}
    """
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(text, tmp_path / "device.toml")
    assert f"{table}.{key}: " in str(caught.value)
    _, found, tail = str(caught.value).partition("allowed: ")
    assert found
    assert allowed in tail
