"""The table of an import: garbage, traps and slips, each found and each named."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.errors import WatchlistError
from tests.unit.test_watchlist_rules import fields
from tools.desk.watchlist.draft import drafted
from tools.desk.watchlist.sheet import COLUMNS, left_over, read_rows


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "photos"
    made.mkdir()
    (made / "a.png").write_bytes(b"a")
    (made / "b.png").write_bytes(b"b")
    return made


def written(folder, *rows, heading=COLUMNS, encoding="utf-8"):
    lines = [",".join(heading)]
    for row in rows:
        cells = [row.get(name, "") if isinstance(row, dict) else row for name in heading]
        lines.append(",".join('"' + cell.replace('"', '""') + '"' for cell in cells))
    path = folder.parent / "list.csv"
    path.write_bytes("\r\n".join(lines).encode(encoding))
    return path


def row(**other):
    return fields(photographs="a.png") | other


def faults_of_row(folder, **other):
    (read,) = read_rows(written(folder, row(**other)), folder)
    return read.faults


def test_a_good_row_is_read_as_it_was_typed(folder):
    (read,) = read_rows(written(folder, row(name='Zoë "Zo" O’Hara, Jr.')), folder)
    assert read.faults == []
    assert read.number == 2
    assert drafted(read.fields).name == 'Zoë "Zo" O’Hara, Jr.'
    assert read.files == [folder.resolve() / "a.png"]


def test_a_byte_order_mark_of_a_spreadsheet_is_no_column(folder):
    (read,) = read_rows(written(folder, row(), encoding="utf-8-sig"), folder)
    assert read.faults == []


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_another_encoding_is_refused_and_not_guessed(folder, encoding):
    path = written(folder, row(name="Zoë Ångström"), encoding=encoding)
    with pytest.raises(WatchlistError, match="UTF-8"):
        read_rows(path, folder)


def test_all_wrong_columns_are_named_at_once(folder):
    heading = [*COLUMNS[:-2], "image_url", "name"]
    with pytest.raises(WatchlistError) as caught:
        read_rows(written(folder, row(), heading=heading), folder)
    by_number = f"by number: {len(COLUMNS) - 1}"
    for word in (by_number, "expires_on", "photographs", "repeated: name"):
        assert word in str(caught.value)


def test_a_table_without_a_heading_does_not_print_its_first_person(folder):
    path = folder.parent / "list.csv"
    path.write_text("Ottilie Fennimore-Quist,1988-05-17,Warrant 26-1189\n")
    with pytest.raises(WatchlistError, match="by number: 1, 2, 3") as caught:
        read_rows(path, folder)
    for word in ("Ottilie", "1988", "26-1189"):
        assert word not in str(caught.value)


def test_a_pipe_or_a_device_is_no_table(folder):
    pipe = folder.parent / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), folder):
        with pytest.raises(WatchlistError, match="no file"):
            read_rows(path, folder)


def test_the_disposition_may_be_left_out(folder):
    heading = [name for name in COLUMNS if name != "disposition"]
    (read,) = read_rows(written(folder, row(), heading=heading), folder)
    assert drafted(read.fields).disposition == "none yet"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t@"])
def test_a_cell_that_a_spreadsheet_would_run_is_refused(folder, start):
    assert any("formula" in fault for fault in faults_of_row(folder, exhibit=f"{start}1+1"))


@pytest.mark.parametrize("sign", ["\x00", "\x07", "\u202e", "\u200b", "\ufeff"])
def test_signs_that_nobody_sees_are_refused(folder, sign):
    assert any("cannot be seen" in fault for fault in faults_of_row(folder, name=f"Bo{sign} Marl"))


def test_a_row_that_comes_twice_is_found(folder):
    first, second = read_rows(written(folder, row(), row()), folder)
    assert first.faults == []
    assert "it is row 2 once more: remove one" in second.faults


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "missing"),
        ("none.png", "not in the folder"),
        ("../list.csv", "does not lie in the folder"),
        ("/etc/passwd", "does not lie in the folder"),
        ("a.png; ../../x", "does not lie in the folder"),
        ("https://faces.invalid/a.png", "R2"),
        ("www.faces.invalid/a.png", "R2"),
        ("//host/a.png", "R2"),
        ("x" * 5000, "photograph 1"),
        (".", "not in the folder"),
    ],
)
def test_a_photograph_lies_in_the_folder_or_the_row_is_refused(folder, name, reason):
    assert any(reason in fault for fault in faults_of_row(folder, photographs=name))


def test_a_link_out_of_the_folder_is_refused(folder):
    (folder / "link.png").symlink_to("/etc/passwd")
    assert any("does not lie" in fault for fault in faults_of_row(folder, photographs="link.png"))


def test_a_comma_without_quotes_is_found(folder):
    path = written(folder, row())
    path.write_text(path.read_text("utf-8") + "\r\nonly,two\r\n" + "," * 40, "utf-8")
    rows = read_rows(path, folder)
    assert any("it has 2 cells" in fault for fault in rows[1].faults)
    assert len(rows) == 2


def test_files_that_no_row_names_are_counted(folder):
    rows = read_rows(written(folder, row()), folder)
    assert left_over(rows, folder) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"name\n", b'"', b'a"b,"c\nd', b"\x00", ",".join(COLUMNS).encode()],
)
def test_what_is_no_table_is_refused_in_a_sentence(folder, content):
    path = folder.parent / "list.csv"
    path.write_bytes(content)
    with pytest.raises(WatchlistError):
        read_rows(path, folder)
    with pytest.raises(WatchlistError, match="cannot be read"):
        read_rows(folder, folder)


def test_a_giant_cell_and_broken_quotes_are_refused(folder):
    path = written(folder, row(necessity="x" * 40_000))
    with pytest.raises(WatchlistError, match="no table"):
        read_rows(path, folder)
    path = written(folder, row())
    path.write_text(path.read_text("utf-8") + '\r\n"open', "utf-8")
    with pytest.raises(WatchlistError, match="no table"):
        read_rows(path, folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=2000), st.booleans())
def test_garbage_never_gets_further_than_a_sentence(folder, garbage, headed):
    path = folder.parent / "list.csv"
    path.write_bytes((",".join(COLUMNS).encode() + b"\n" if headed else b"") + garbage)
    try:
        rows = read_rows(path, folder)
    except WatchlistError:
        return
    assert all(read.faults for read in rows)


def test_a_printed_row_shows_no_name(folder):
    (read,) = read_rows(written(folder, row()), folder)
    assert "Fennimore" not in repr(read)
