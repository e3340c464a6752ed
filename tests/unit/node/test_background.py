"""A task beside the API goes on after a fault, and the log says that there was one."""

from __future__ import annotations

import asyncio
import re

import pytest

from huying.node import background, logs
from huying.node.background import end_task, keep_up
from tests.support.places import ROOT

NODE = ROOT / "node" / "huying" / "node"

# Uplinks count their own retries; a console's question how its node stands is asked anew a second
# later; the others catch every fault of one round by themselves.
BARE = {
    ("transport/uplink.py", "_keep"),
    ("census/census_answers.py", "_follow"),
    ("membership/introduction.py", "_append"),
    ("web/node_link.py", "_ask_status"),
    ("provision_keeper.py", "_go_round"),
}


@pytest.fixture
def said(monkeypatch):
    heard = []
    monkeypatch.setattr(logs, "say", lambda event, **values: heard.append((event, values)))
    monkeypatch.setattr(background, "AGAIN_SECONDS", 0.0)
    return heard


def test_a_part_that_met_a_fault_goes_on(said):
    """A database that was locked for one night must not end the nightly erasure for good."""
    faults = [OSError("/srv/huying: No space left"), RuntimeError("张三")]

    async def work() -> None:
        if faults:
            raise faults.pop()

    asyncio.run(keep_up("retention", work))
    assert faults == []
    kinds = [(event, values["part"], values["kind"]) for event, values in said]
    assert kinds == [
        ("part_failed", "retention", "RuntimeError"),
        ("part_failed", "retention", "OSError"),
    ]
    assert "张三" not in repr(said)


def test_a_part_ends_with_its_node(said):
    """A stop must not wait for a part that is busy retrying."""

    async def scenario() -> None:
        begun = asyncio.Event()

        async def work() -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(keep_up("history", work))
        await begun.wait()
        await end_task(task)
        assert task.done()

    asyncio.run(scenario())
    assert said == []


def test_no_part_of_the_node_runs_without_somebody_to_take_it_up_again():
    """A task that raised is gone without a word: nobody waits for it until the node stops."""
    bare = {
        (str(path.relative_to(NODE)), name)
        for path in NODE.rglob("*.py")
        for name in re.findall(r"create_task\(self\.(_\w+)\(\)\)", path.read_text("utf-8"))
    }
    assert bare <= BARE
