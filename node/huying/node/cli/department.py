"""`huying department add|list`: the departments of a county, and their keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from huying.node.cli.context import JsonOption

__all__ = ["departments", "group"]


def group() -> typer.Typer:
    """The group of commands."""
    made = typer.Typer(no_args_is_help=True, help="部门及其密钥 · Departments and their keys.")
    made.command()(add)
    made.command(name="list")(list_)
    return made


def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="部门名称 · Its name.")],
    phone: Annotated[str, typer.Option(help="值班电话 · Of the duty desk, for all to read.")] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """登记部门并生成密钥 · Enter a department; its key is made, and the public half published.

    Entering it again changes its phone and keeps its key.
    """
    from huying.node.cli.output import print_json, print_pairs
    from huying.wire.v1 import provision_pb2

    request = provision_pb2.AddDepartmentRequest(name=name, duty_phone=phone)
    found = _ask(ctx, "AddDepartment", request)
    if as_json:
        print_json(_document(found))
        return
    place = f"{found.place.origin} #{found.place.index}"
    print_pairs(
        [
            ("部门 · department", found.name),
            ("公钥 · public key", found.hpke_key.hex()),
            ("位置 · entry", place),
        ]
    )


def list_(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """列出部门 · List the departments that are known here."""
    from huying.node.cli.output import print_json, print_note, print_table

    found = [_document(one) for one in departments(ctx)]
    if as_json:
        print_json({"departments": found})
        return
    if not found:
        print_note("没有登记部门", "no department is entered here")
        return
    print_table(
        (
            "部门 · department",
            "=节点 · node",
            "值班电话 · phone",
            "=公钥 · public key",
            "私钥 · key",
        ),
        [
            (
                one["name"] + ("(已撤销 closed)" if one["closed"] else ""),
                one["home"],
                one["duty_phone"] or "—",
                one["hpke_key"][:16] or "—",
                "在本节点 here" if one["key_here"] else "—",
            )
            for one in found
        ],
    )


def departments(ctx: typer.Context) -> list[Any]:
    """Every department that is known here."""
    from huying.wire.v1 import provision_pb2

    found = _ask(ctx, "ListDepartments", provision_pb2.ListDepartmentsRequest())
    return list(found.departments)


def _document(one: Any) -> dict[str, Any]:
    return {
        "home": one.home,
        "name": one.name,
        "hpke_key": one.hpke_key.hex(),
        "duty_phone": one.duty_phone,
        "closed": one.closed,
        "generated": one.generated,
        "key_here": one.key_here,
        "origin": one.place.origin,
        "index": one.place.index,
    }


def _ask(ctx: typer.Context, method: str, request: Any) -> Any:
    from huying.node.cli.administer import ask_desk
    from huying.node.desk import NODE_TOPICS

    topic = next(one for one in NODE_TOPICS if one.name == "Departments")
    return ask_desk(ctx, topic, method, request)
