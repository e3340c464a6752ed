"""What an operator should know at a glance, in words.

The first remark answers one question: is data flowing? A part-time technician reads it before any
number, so it says what is so, what that means, and where to read on. What else there is to know
follows, the gravest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from huying.node.web.operations.operations_lines import FeedLine, PeerLine
from huying.node.web.operations.operations_source import Look

__all__ = ["CERTIFICATE_DAYS_WARN", "DISK_BYTES_WARN", "Remark", "remarks"]

# As the alerts have it (deploy/prometheus/huying.rules.yml), and `huying doctor`.
DISK_BYTES_WARN: Final = 2.0**30
CLOCK_SECONDS_WARN: Final = 60.0
CERTIFICATE_DAYS_WARN: Final = 30.0
BACKUP_DAYS_WARN: Final = 8.0
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to know. `help` is a page of the runbook, or empty; `page` one of the console."""

    kind: str  # good, act, warn, bad
    zh: str
    en: str
    help: str = ""
    page: str = ""


def remarks(
    look: Look,
    feeds: Iterable[FeedLine],
    peers: Iterable[PeerLine],
    names: Mapping[str, str],
    now: float,
) -> list[Remark]:
    """At least one; the first is on the flow of data.

    `names` are of divisions, by code; `now` is unix seconds.
    """
    feeds, peers = list(feeds), list(peers)
    if not look.is_live:
        return [_away(look), *_kept(feeds)]
    flow = [
        *_own(feeds),
        *_kept_back(feeds),
        *_links(peers, names),
        *_progress(feeds, peers),
    ]
    flow.sort(key=_gravity)
    besides = [*_quarantine(feeds), *_machine(look, peers, names, now)]
    return [flow[0], *sorted((*flow[1:], *besides), key=_gravity)]


def _gravity(one: Remark) -> int:
    return ("bad", "warn", "act", "good").index(one.kind)


def _away(look: Look) -> Remark:
    if look.is_stored:
        return Remark(
            "bad",
            "节点没有运行。下面只有数据库里的条数;数据是否在流动,现在未知。",
            "The node does not run. Below is just what its database holds; whether data flows"
            " is unknown now.",
            "HuyingNodeDown",
        )
    return Remark(
        "bad",
        "节点没有应答。下面是它最后一次应答时的数字,不是现在的。",
        "The node does not answer. The figures below are from when it last did, not of now.",
        "HuyingNodeDown",
    )


def _kept(feeds: list[FeedLine]) -> Iterator[Remark]:
    forked = [one for one in feeds if one.state == "forked"]
    if forked:
        yield _forked(len(forked))


def _forked(count: int) -> Remark:
    return Remark(
        "bad",
        f"{count} 个数据流签出了两份互相矛盾的历史,已冻结并留证,要由人决定怎么办。",
        f"{count} feeds signed two histories that contradict each other: frozen, the evidence is"
        " kept, and a person has to decide.",
        "HuyingFeedForked",
        "trouble",
    )


def _own(feeds: list[FeedLine]) -> Iterator[Remark]:
    """What is wrong with this node's own feed."""
    for one in feeds:
        if one.own and one.state == "recovering":
            yield Remark(
                "bad",
                "本节点的数据库比它曾经发出的旧,正向上下级取回自己的内容;取回之前不写入。",
                "This node's database is older than what it once sent out. It is getting its own"
                " entries back from its neighbours, and writes nothing before.",
                "HuyingFeedRecovering",
            )
        elif one.own and one.state == "unconfirmed":
            yield Remark(
                "warn",
                "启动以来上级还没有确认本级的数据;照常写入,接通后自动上送。",
                "The parent has not confirmed this node's feed since the start. Writing goes on,"
                " and everything goes up when the link is there.",
                "HuyingParentNoContact",
            )
        elif one.own and one.state == "revoked":
            yield Remark(
                "bad",
                "上级称本节点的密钥已被吊销,本级写入的内容不再被接收。",
                "The parent says that this node's key is revoked: what is written here is not"
                " taken any more.",
                "revoke",
            )


def _kept_back(feeds: list[FeedLine]) -> Iterator[Remark]:
    forked = [one for one in feeds if one.state == "forked"]
    if forked:
        yield _forked(len(forked))
    held_back = [one for one in feeds if one.state in ("withheld", "tail_cut", "replayed")]
    if held_back:
        states = {one.state for one in held_back}
        page = {"withheld": "HuyingFeedWithheld", "tail_cut": "HuyingFeedTailCut"}
        yield Remark(
            "bad",
            f"{len(held_back)} 个数据流没有送齐:索取了,对方没有给。",
            f"{len(held_back)} feeds do not arrive whole: what lacks was asked for, and not given.",
            page.get(min(states), "HuyingFeedReplayed")
            if len(states) == 1
            else "HuyingFeedWithheld",
            "trouble",
        )


def _links(peers: list[PeerLine], names: Mapping[str, str]) -> Iterator[Remark]:
    for one in peers:
        if one.direction == "up" and not one.connected:
            name = names.get(one.code, one.code)
            yield Remark(
                "warn",
                f"与上级{name}断开:上级的新内容还看不到;本级照常写入,接通后自动上送。",
                f"Cut off from {name} above: what is new there can't be seen. Writing goes on, and"
                " goes up by itself when the link is back.",
                "HuyingParentNoContact",
            )
    children = [one for one in peers if one.direction == "down"]
    silent = [one for one in children if not one.connected]
    if silent:
        never = sum(not one.last_contact for one in silent)
        some = "、".join(names.get(one.code, one.code) for one in silent[:3])
        some += "等" if len(silent) > 3 else ""
        english = ", ".join(names.get(one.code, one.code) for one in silent[:3])
        english += " …" if len(silent) > 3 else ""
        yield Remark(
            "warn",
            f"{len(children)} 个下级中 {len(silent)} 个联系不上({some}),它们的进度未知。",
            f"{len(silent)} of {len(children)} children can't be reached ({english}): how far they"
            " are is unknown.",
            "HuyingChildAbsent" if never == len(silent) else "HuyingChildNoContact",
        )


def _quarantine(feeds: list[FeedLine]) -> Iterator[Remark]:
    waiting = sum(one.quarantined for one in feeds)
    if waiting:
        yield Remark(
            "warn",
            f"{waiting} 条内容不合规或本程序看不懂,已原样隔离,等人看一眼;其余不受影响。",
            f"{waiting} entries are not acceptable, or not known to this program: kept apart as"
            " they came, until somebody looks. The rest is not affected.",
            "HuyingQuarantineNotEmpty",
            "quarantine",
        )


def _machine(
    look: Look, peers: list[PeerLine], names: Mapping[str, str], now: float
) -> Iterator[Remark]:
    free = look.figures.get("disk_free_bytes")
    if free is not None and free < DISK_BYTES_WARN:
        yield Remark(
            "bad" if free < DISK_BYTES_WARN / 10 else "warn",
            "磁盘快满了;满了之后节点不再写入。",
            "The disk is nearly full; a node whose disk is full writes nothing.",
            "HuyingDiskLow",
            "machine",
        )
    for labels, expires in look.figures.all("certificate_expiry_timestamp_seconds"):
        days = (expires - now) / _DAY
        if days < CERTIFICATE_DAYS_WARN:
            name = names.get(labels["peer"], labels["peer"])
            yield Remark(
                "bad" if days < 3 else "warn",
                f"{name}的证书{'已过期' if days < 0 else f'还有 {days:.0f} 天到期'}。",
                f"The certificate of {name} "
                + ("has expired." if days < 0 else f"expires in {days:.0f} days."),
                "HuyingCertificateExpiring",
                "machine",
            )
    if any(abs(one.clock_offset_seconds or 0.0) > CLOCK_SECONDS_WARN for one in peers):
        yield Remark(
            "warn",
            "本机与邻居的时钟相差超过一分钟:顺序不受影响,显示的时间不准。",
            "Clocks of this machine and a neighbour differ by over a minute: order is not"
            " affected, times on screens are.",
            "HuyingClockOff",
        )
    backup = look.figures.get("backup_timestamp_seconds") or 0.0
    if now - backup > BACKUP_DAYS_WARN * _DAY:
        yield Remark(
            "warn",
            "还没有做过备份。" if not backup else "最近一次备份已超过一周。",
            "No backup was made here yet." if not backup else "The last backup is over a week old.",
            "restore",
            "machine",
        )


def _progress(feeds: list[FeedLine], peers: list[PeerLine]) -> Iterator[Remark]:
    """Whether data flows, where nothing worse is known."""
    followed = [one for one in feeds if not one.own and not one.is_ended]
    live = [one for one in followed if one.state == "live"]
    behind = [one for one in followed if one.state == "catching_up"]
    unknown = [one for one in followed if one.lag_seconds is None]
    if behind:
        entries = sum(one.behind or 0 for one in behind)
        yield Remark(
            "act",
            f"数据在流动,{len(behind)} 个数据流正在追赶,已知还差 {entries} 条。",
            f"Data flows: {len(behind)} feeds are catching up, {entries} entries are known to be"
            " outstanding.",
            "HuyingFeedBehind",
        )
    if followed and len(live) == len(followed):
        yield Remark(
            "good",
            f"数据在流动:{len(live)} 个数据流都是最新的。",
            f"Data flows: all {len(live)} feeds are up to date.",
        )
    elif live and not behind:
        yield Remark(
            "act",
            f"其余数据在流动:{len(followed)} 个数据流中 {len(live)} 个是最新的。",
            f"The rest flows: {len(live)} of {len(followed)} feeds are up to date.",
        )
    silent = [one for one in peers if not one.connected]
    if unknown and not silent:
        yield Remark(
            "warn",
            f"{len(unknown)} 个数据流的进度未知:线路通,但没有来源的新消息。",
            f"How far {len(unknown)} feeds have come is unknown: the links are up, and their"
            " origins are not heard.",
            "HuyingFeedStuck",
        )
    if not followed:
        yield Remark(
            "act",
            "还没有可以跟随的数据流。",
            "There is no feed to follow yet.",
        )
    elif not (live or behind or unknown):
        yield Remark(
            "act",
            f"{len(followed)} 个数据流都不在正常状态,见下表。",
            f"None of the {len(followed)} feeds is in its normal state: see below.",
        )
    elif not live and not behind and silent:
        yield Remark(
            "warn",
            f"{len(unknown)} 个数据流的进度都未知。",
            f"How far any of the {len(unknown)} feeds has come is unknown.",
            "HuyingFeedStuck",
        )
