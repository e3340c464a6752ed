"""A console's process before its first request, and in its quiet moments."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jinja2 import Environment

from huying.common.errors import Code, HuyingError
from huying.node.web import ready
from huying.node.web.render import TEMPLATES, environment


class _Site:
    """What `ready` asks of a site; its node and its databases are away."""

    def __init__(self) -> None:
        self.templates: Environment = environment((TEMPLATES,))
        self.node = self.sessions = self.clock = self

    async def on_thread(self, work: Any) -> Any:
        return work()

    def now(self) -> float:
        return 0.0

    def find(self, _token: str, _now: float) -> None:
        raise HuyingError(Code.STORE_FAILED, "the disk is away")

    async def names(self) -> None:
        raise HuyingError(Code.NOT_FOUND, "no database")

    async def state(self) -> None:
        await asyncio.Event().wait()  # a node that takes the connection and says nothing


def _known(site: _Site) -> set[str]:
    return {key[1] for key in site.templates.cache or ()}


def test_a_console_whose_node_and_disk_are_away_begins_all_the_same(monkeypatch: Any) -> None:
    """Its pages say what is wrong; a process that does not begin says nothing."""
    monkeypatch.setattr(ready, "_NODE_SECONDS", 0.0)
    site = _Site()
    asyncio.run(ready.get_ready(site))  # type: ignore[arg-type]  # the parts that it asks
    assert {"base.html", "macros.html"} <= _known(site)


def test_templates_are_prepared_while_nobody_waits(monkeypatch: Any) -> None:
    """A visitor's own page comes first, each time."""
    site = _Site()
    names = ["error.html", "no_page.html"]
    monkeypatch.setattr(site.templates, "list_templates", lambda: names)
    monkeypatch.setattr(ready, "_QUIET_SECONDS", 0.0)
    busy, before = iter([False, False, True, False, True]), []

    def is_quiet() -> bool:
        before.append(len(_known(site) & set(names)))
        return next(busy)

    asyncio.run(ready.prepare_templates(site, is_quiet))  # type: ignore[arg-type]
    assert before == [0, 0, 0, 1, 1]
    assert set(names) <= _known(site)


def test_a_broken_template_stops_nothing(monkeypatch: Any, tmp_path: Path) -> None:
    """It fails on its own page; the others are prepared."""
    site = _Site()
    (tmp_path / "a.html").write_text("{% if %}")
    (tmp_path / "b.html").write_text("ok")
    site.templates = environment((tmp_path,))
    monkeypatch.setattr(ready, "_QUIET_SECONDS", 0.0)
    asyncio.run(ready.prepare_templates(site, lambda: True))  # type: ignore[arg-type]
    assert _known(site) == {"b.html"}
