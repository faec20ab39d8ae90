"""Generated pages are up to date: run `make docs` when this fails."""

import pytest

from tools.setup.pages import pages


@pytest.mark.parametrize(("path", "text"), pages().items(), ids=lambda v: getattr(v, "name", ""))
def test_page_is_up_to_date(path, text):
    assert path.read_text("utf-8") == text
