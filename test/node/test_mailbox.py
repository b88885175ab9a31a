"""The newest item wins, and what it replaced is counted."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from caer_ros.node.mailbox import Mailbox


@given(st.lists(st.booleans(), max_size=50))
def test_everything_put_is_taken_or_counted(steps: list[bool]) -> None:
    mailbox: Mailbox[int] = Mailbox()
    put = 0
    taken = []
    for is_put in steps:
        if is_put:
            put += 1
            mailbox.put(put)
        elif (item := mailbox.take(0)) is not None:
            assert item == put, "not the newest"
            taken.append(item)
    left = mailbox.take(0) is not None
    assert len(taken) + left + mailbox.drops == put


def test_closing_wakes_a_waiting_thread() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: taken.append(mailbox.take(60)))
    thread.start()
    mailbox.close()
    thread.join(10)
    assert taken == [None]
    mailbox.pause(60)  # returns at once, or the test times out
