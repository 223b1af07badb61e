"""The open page that most tests here ask."""

from collections.abc import Iterator

import pytest
from pages import Opened, open_page


@pytest.fixture
def opened() -> Iterator[Opened]:
    with open_page() as page:
        yield page
