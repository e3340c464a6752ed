"""`huying status`: the running node's own word, or what its store says while it is down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from huying.common.errors import Code, HuyingError
from huying.node.cli import context
from huying.node.cli.context import JsonOption
from huying.node.cli.feed_text import REASONS, STATES

if TYPE_CHECKING:
    from huying.node.config import Config
    from huying.wire.v1 import api_pb2

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """节点状态:密钥、数据流、上下级、滞后 · Keys, feeds, peers, lag, state.

    Asks the running node. While it is down, reads its store: the state is "down", lag unknown.
    """
    from huying.node.cli.output import print_json, print_note
    from huying.node.cli.render import status_document

    loaded = context.config(ctx)
    try:
        with context.client(loaded) as client:
            found = client.status()
    except HuyingError as error:
        if error.code is not Code.UNREACHABLE:
            raise
        from huying.node.cli.offline import offline_status

        print_note("节点未运行,以下读自数据库,滞后未知", "the node is down; read from its store")
        found = offline_status(loaded)
    if as_json:
        print_json(status_document(found))
    else:
        _print(loaded, found)


def _print(loaded: Config, status: api_pb2.StatusResponse) -> None:
    from huying.node.cli.output import count, division, print_note, print_pairs, print_table, when

    revoked = status.state == "live" and any(
        feed.origin == status.origin and feed.state == "revoked" for feed in status.feeds
    )
    calls = (
        f"呼叫 raised {count(status.calls_raised)} · 已答复 answered {count(status.calls_answered)}"
        f" · 已确认 confirmed {count(status.calls_confirmed)}"
    )
    print_pairs(
        [
            ("节点 · node", division(status.name, status.code)),
            ("状态 · state", _state_text("revoked" if revoked else status.state)),
            ("数据流 · feed", status.origin),
            ("公钥 · verifier key", status.verifier_key),
            ("见证公钥 · witness key", status.witness_key),
            ("启动 · started", when(status.started_micros)),
            ("呼叫 · calls", calls),
            ("配置 · configuration", loaded.file),
        ]
    )
    print_table(
        (
            "数据流 · feed",
            "状态 · state",
            ">条目 · entries",
            ">落后 · behind",
            ">滞后 · lag",
            ">见证 · cosigned",
            ">明文 · openings",
            ">未授 · withheld",
        ),
        [
            _feed_row(feed, down=status.state == "down")
            for feed in sorted(status.feeds, key=lambda each: _place(each, status.origin))
        ],
    )
    print_table(
        (
            "上下级 · peer",
            "方向 · direction",
            "连接 · link",
            "最近联系 · last contact",
            ">时钟差 · clock",
        ),
        [
            (
                division(peer.name, peer.code),
                {"up": "上级 up", "down": "下级 down"}.get(peer.direction, peer.direction),
                _link_text(peer),
                when(peer.last_contact_micros),
                f"{peer.clock_offset_seconds:+.3f} s"
                if peer.HasField("clock_offset_seconds")
                else "—",
            )
            for peer in status.peers
        ],
    )
    if revoked:
        print_note(
            "本级密钥已吊销:此后写入的谁也不收。先向上级核实,再按 docs/runbook/revoke.md 取回",
            "this node's key is revoked, and nobody takes what it writes: ask the parent's"
            " operator, then see docs/runbook/revoke.md, Take the node back",
        )


def _link_text(peer: api_pb2.PeerStatus) -> str:
    """Whether the link is up; if not, and this node dials, when it does so again."""
    from huying.node.cli.output import when

    if peer.connected:
        return "已连接 up"
    if not peer.retry_next_micros:
        return "未连接 down"
    return f"未连接 down\n重试 retry\n{when(peer.retry_next_micros)[-8:]}"


def _state_text(state: str, reason: str = "") -> str:
    """In both languages; the reason on lines of its own, so that the table stays narrow."""
    text = f"{STATES.get(state, '')} {state}".strip()
    if reason in REASONS:
        reason = f"{REASONS[reason]}\n{reason}"
    return f"{text}\n{reason}" if reason else text


def _place(feed: api_pb2.FeedStatus, own: str) -> tuple[bool, str]:
    """The own feed first, the others by division code, which is each town before its villages."""
    from huying.common.codes import parse_origin

    return feed.origin != own, parse_origin(feed.origin).code


def _feed_row(feed: api_pb2.FeedStatus, *, down: bool) -> tuple[Any, ...]:
    from huying.node.cli.output import count

    behind = max(0, feed.remote_head_size - feed.size)
    known = behind or feed.lag_known
    label = "/".join(feed.origin.split("/")[-2:])
    return (
        f"{feed.name} {label}".strip(),
        _state_text(feed.state, "" if down else feed.reason),  # the note says it once
        count(feed.size),
        count(behind) if known else "—",
        f"{feed.lag_seconds:,.1f} s" if feed.lag_known else "未知 unknown",
        count(feed.cosigned_size) if feed.cosigned_size else "—",  # not a feed cosigned here
        count(feed.openings_held),
        count(feed.openings_withheld),
    )
