"""Warnings kept for the page."""

import logging

from realtime.clock import NS_PER_S
from realtime.web.notices import MOST, Notices


def test_each_warning_is_kept_once_newest_first_and_made_safe() -> None:
    now = 0
    notices = Notices(lambda: now)
    log = logging.Logger("realtime.test")
    log.addHandler(notices)
    log.warning("the disk %s", "is full")
    log.info("not worth telling")
    now = 3 * NS_PER_S
    log.warning("camera \x1b[31m0\n is gone")
    assert notices.report() == [
        {"text": "camera \\x1b[31m0\\n is gone", "ago_s": 0},
        {"text": "the disk is full", "ago_s": 3},
    ]
    log.warning("the disk is full")
    assert notices.report()[0]["text"] == "the disk is full"
    assert len(notices.report()) == 2
    for number in range(3 * MOST):
        log.warning("number %d", number)
    assert len(notices.report()) == MOST
