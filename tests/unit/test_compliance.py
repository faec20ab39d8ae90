"""`docs/compliance.md` names every requirement once, and only files and tests that there are."""

import ast
import re
from collections import Counter
from functools import cache
from typing import NamedTuple

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs/compliance.md"
STATES = ("done", "part", "not yet")
LINK = re.compile(r"\[([^\]]+)\]\(([^)#]+)\)")
LINK_OR_TEST = re.compile(r"\]\((?P<link>[^)#]+)\)|`(?P<test>test_\w+)`")


class Row(NamedTuple):
    number: str
    requirement: str
    state: str
    code: str
    proof: str
    remark: str


def rows():
    lines = PAGE.read_text("utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in lines
        if re.match(r"\|\s*R\d+\b", line)
    ]
    return [Row(*row) for row in cells]


ROWS = rows()
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)


@cache
def functions_of(path):
    """The names of all tests of a file, those in classes too."""
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def named_tests(row):
    """Pairs of a linked test file and a test that is named after it."""
    file, named = None, []
    for match in LINK_OR_TEST.finditer(row.proof):
        if match["link"]:
            file = (PAGE.parent / match["link"]).resolve()
        else:
            named.append((file, match["test"]))
    return named


def test_every_requirement_has_one_row_in_order():
    assert [row.number for row in ROWS] == [f"R{number}" for number in range(1, 58)]


def test_the_counts_in_the_first_paragraph_are_right():
    first = PAGE.read_text("utf-8").split("\n## ")[0]
    (claimed,) = re.findall(r"(\d+) done, (\d+) part, (\d+) not yet", first)
    counted = Counter(row.state for row in ROWS)
    assert [int(count) for count in claimed] == [counted[state] for state in STATES]


def test_every_link_of_the_page_leads_to_a_file_that_it_names():
    links = LINK.findall(PAGE.read_text("utf-8"))
    assert links
    for text, target in links:
        assert (PAGE.parent / target).is_file(), target
        assert target == f"../{text}"


@each_row
def test_the_state_is_one_of_three(row):
    assert row.state in STATES


@each_row
def test_a_row_links_code_and_tests_unless_it_is_not_yet(row):
    if row.state == "not yet":
        assert not LINK.search("".join(row))
        assert not named_tests(row)
    else:
        assert LINK.search(row.code)
        assert named_tests(row)


@each_row
def test_what_is_not_done_says_what_is_missing(row):
    assert row.requirement
    assert row.remark or row.state == "done"


@each_row
def test_every_named_test_is_in_the_file_linked_before_it(row):
    for file, test in named_tests(row):
        assert file is not None, test
        assert file.is_relative_to(ROOT / "tests"), file
        assert test in functions_of(file), f"{test} is not in {file.relative_to(ROOT)}"


@each_row
def test_every_linked_test_file_has_a_test_named(row):
    linked = {
        (PAGE.parent / target).resolve()
        for _, target in LINK.findall(row.proof)
        if target.endswith(".py")
    }
    assert linked == {file for file, _ in named_tests(row)}
