"""`huying join`: make a node below a parent, with the token that the parent's operator gave."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli.context import JsonOption

if TYPE_CHECKING:
    from huying.common.membership.join_token import JoinToken
    from huying.node.membership.joining import Joined

__all__ = ["read_token", "register", "say_waiting"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(join)


def join(
    token: Annotated[
        str,
        typer.Argument(metavar="TOKEN", help="上级发的加入令牌;- 从标准输入读 · - reads stdin."),
    ] = "",
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="新节点的文件夹 · The new node's folder.")
    ] = Path("node"),
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="供下级连接的地址;没有下级则不填 · Where children dial in."
        ),
    ] = None,
    advertise: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="下级应拨的地址 · The address they are told."),
    ] = None,
    api_listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="本机接口地址,默认按区划代码选端口 · The API, on loopback."
        ),
    ] = None,
    metrics_listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="指标地址 · Where /metrics and /healthz listen."),
    ] = None,
    console_listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="网页控制台地址 · Where the pages are served."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="区划名称,默认见令牌,再无则用代码 · Name; the token's, or the code.")
    ] = "",
    request: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="不联网:把申请写到文件 · Write the request to a file."),
    ] = None,
    response: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="不联网:读取上级的回执 · Take the parent's answer."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """凭令牌加入网络 · Join a network with a token.

    Cut in the middle, it can be repeated with the same token and the same folder. Behind a gap:
    join TOKEN --request F here, roster enrol F -o R at the parent, join --response R here.
    """
    from huying.node.membership import joining
    from huying.node.transport.knock import knock

    if response is not None:
        under_way = joining.in_progress(data)
        _print(joining.finish(under_way, _read(response)), as_json=as_json)
        return
    if not token:
        raise HuyingError(Code.INVALID_ARGUMENT, "TOKEN: missing; the parent's operator issues it")
    text, parsed = read_token(token)
    wishes = joining.Wishes(
        name=name,
        sync_listen=listen,
        sync_advertise=advertise,
        api_listen=api_listen or default_api(parsed.code),
        metrics_listen=metrics_listen,
        console_listen=console_listen,
        dial=request is None,
    )
    under_way = joining.begin(data, parsed, text, wishes)
    if request is not None:
        request.write_bytes(under_way.request)
        _print_request(request, data, as_json=as_json)
        return
    addresses = [one for one in (parsed.address, parsed.fallback_address) if one]
    sha256 = parsed.parent.certificate_sha256
    answer = knock(addresses, sha256, parsed.parent.code, under_way.request)
    _print(joining.finish(under_way, answer), as_json=as_json)


def read_token(argument: str) -> tuple[str, JoinToken]:
    """The token's text and what it says. Raises HuyingError(TOKEN_MALFORMED)."""
    from huying.common.limits import TOKEN_CHARACTERS_MAX
    from huying.common.membership.join_token import parse_token

    text = sys.stdin.read(2 * TOKEN_CHARACTERS_MAX) if argument == "-" else argument
    return text, parse_token(text)


def default_api(code: str) -> str:
    """A loopback address that is the code's own, so that nodes on one machine seldom collide."""
    import socket
    from hashlib import sha256

    port = 20_000 + int.from_bytes(sha256(code.encode()).digest()[:4]) % 10_000
    for candidate in range(port, port + 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return f"127.0.0.1:{candidate}"
    raise HuyingError(Code.CONFIG, f"--api-listen: ports {port} to {port + 99} are taken; give one")


def say_waiting(code: str, state: str) -> None:
    """Where the new key has to be confirmed: who has to do what."""
    from huying.node.cli.output import print_note
    from huying.node.membership.enrolment import WAITING

    if state == WAITING:
        print_note(
            f"该代码以前用过别的密钥:须由上上级运行 huying roster confirm {code} 后才生效",
            "this code had another key before: nothing of this node counts until the grandparent's"
            f" operator runs: huying roster confirm {code}",
        )


def _read(path: Path) -> bytes:
    from huying.common.limits import ENROL_BYTES_MAX

    try:
        with path.open("rb") as file:
            return file.read(ENROL_BYTES_MAX + 1)
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{path}: {error.strerror}") from None


def _print(joined: Joined, *, as_json: bool) -> None:
    from huying.node.cli.output import division, print_json, print_pairs

    config, pin = joined.made.config, joined.made.pin
    shown = {
        "config": str(config.file),
        "code": pin.code,
        "name": pin.name,
        "parent": joined.parent.code,
        "state": joined.state,
        "roster_index": joined.roster_index,
        "verifier_key": pin.feed_key,
        "witness_key": pin.witness_key,
        "sync_listen": config.sync.listen,
        "api_listen": config.api.listen,
        "metrics_listen": config.metrics.listen,
    }
    if as_json:
        print_json(shown)
    else:
        print_pairs(
            [
                ("配置 · configuration", shown["config"]),
                ("节点 · node", division(pin.name, pin.code)),
                ("上级 · parent", division(joined.parent.name, joined.parent.code)),
                ("状态 · state", joined.state),
                ("公钥 · verifier key", pin.feed_key),
                ("见证公钥 · witness key", pin.witness_key),
                ("下级连接 · children dial", config.sync.listen or "—"),
                ("本机接口 · API", config.api.listen),
                ("指标 · metrics", config.metrics.listen or "—"),
                ("下一步 · next", f"huying --config {config.file} run"),
            ]
        )
    say_waiting(pin.code, joined.state)


def _print_request(request: Path, data: Path, *, as_json: bool) -> None:
    from huying.node.cli.output import print_command, print_json, print_note

    if as_json:
        print_json({"request": str(request), "data": str(data)})
        return
    print_note("把申请文件带到上级,在那里运行", "carry the request to the parent, and there run")
    print_command(["huying", "roster", "enrol", str(request), "-o", "RESPONSE"])
    print_note("把回执带回来,在这里运行", "bring the response back, and here run")
    print_command(["huying", "join", "--response", "RESPONSE", "--data", str(data)])
