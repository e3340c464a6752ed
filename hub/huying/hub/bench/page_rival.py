"""The same list as a plain page: starlette, jinja2 and SQLAlchemy over one indexed table of calls.

What somebody would write in an afternoon, with the indexes that everybody makes and no sign-in, no
scope, no counts and no tiles. The table is the calls bench's own rival table, which holds each
call's department, whether it is open, and when it is due.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment
from sqlalchemy import Engine, create_engine, text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

__all__ = ["QUERIES", "application"]

_PAGE: Final = """<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">
<title>{{ title }}</title></head><body><h1>{{ title }}</h1><table><thead>
<tr><th>编号<th>标题<th>类别<th>乡镇<th>部门<th>期限</tr></thead><tbody>{% for row in rows %}
<tr><td><a href="/calls/{{ row.id.hex() }}">{{ row.id.hex()[:8] }}</a><td>{{ row.title }}
<td>{{ row.category }}<td>{{ row.caller }}<td>{{ row.department }}<td>{{ row.due }}</tr>
{% endfor %}</tbody></table></body></html>"""
_SELECT: Final = "SELECT id, caller, category, title, department, due FROM rival_calls WHERE "
_LISTS: Final = {
    "/department": "department = :department AND open = 1 ORDER BY due, id",
    "/queue": "open = 1 ORDER BY due, id",
    "/calls": "true ORDER BY raised DESC, id DESC",
    "/search": "title LIKE :like OR description LIKE :like ORDER BY raised DESC",
}
QUERIES: Final = {path: f"{_SELECT}{rest} LIMIT 50" for path, rest in _LISTS.items()}


def application(database: Path) -> Starlette:
    """The pages, one for each of QUERIES."""
    engine: Engine = create_engine(f"sqlite:///file:{database}?mode=ro&uri=true")
    page = Environment(autoescape=True).from_string(_PAGE)

    def show(request: Request) -> HTMLResponse:
        values: dict[str, Any] = {
            "department": request.query_params.get("department", ""),
            "like": f"%{request.query_params.get('q', '')}%",
        }
        query = QUERIES[request.url.path]
        with engine.connect() as connection:
            rows = connection.execute(
                text(query), {name: v for name, v in values.items() if f":{name}" in query}
            ).fetchall()
        return HTMLResponse(page.render(title=request.url.path, rows=rows))

    return Starlette(routes=[Route(path, show) for path in QUERIES])
