"""An entry of a feed in words for people: as it is held here, or as a proof file shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["print_entry", "print_verified"]

_HELD: Final = {
    "present": "可见 present",
    "withheld": "未授 withheld",
    "erased": "已删除 erased",
}
# A proof holds what was opened for it; what it leaves out may be held by whoever made it.
_SHOWN: Final = {"present": "已附 shown", "withheld": "本文件未附 not in this file"}


def print_entry(document: dict[str, Any], states: dict[str, str] = _HELD) -> None:
    """The document of `huying feed show`; `states` says of each slot in words where it stands."""
    from huying.node.cli.output import print_pairs, print_table, readable, when

    entry = document["entry"] or {}
    found = entry.get("head") or {}
    pairs = [
        ("条目 · entry", f"{document['origin']} #{document['index']}"),
        ("叶子哈希 · leaf hash", document["leaf_hash"]),
    ]
    if document["withheld_whole"]:
        pairs.append(("整条未授 · withheld whole", "只持有叶子哈希 · only its leaf hash is held"))
    if found:
        pairs += [
            ("类型 · type", f"{found['type']} ({found['kind']})"),
            ("记录 · record", found["record"]),
            ("写入 · committed", when(found["time_micros"])),
            ("送达 · to", " ".join(found["to"]) or "—"),
        ]
    pairs += readable((entry.get("fields") or {}).items())
    pairs += [
        ("隔离 · quarantined", f"{each['code']} {each['detail']}")
        for each in document["quarantined"]
    ]
    print_pairs(pairs)
    if entry:
        print_table(
            ("分格 · slot", "层级 · level", "状态 · state", "字段 · fields"),
            [
                (
                    each["slot"],
                    each["level"] + (" + to" if each["addressed"] else ""),
                    states[each["state"]],
                    " ".join(each["fields"]),
                )
                for each in entry["slots"]
            ],
        )


def _utc(time_seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time_seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{time_seconds} s"


def print_verified(document: dict[str, Any]) -> None:
    """What `huying.node.cli.verify.verify_file` found."""
    from huying.node.cli.output import print_pairs

    said = "除注明者外,以下都已核对 · what is below was checked unless it says so"
    print_pairs([("证明成立 · valid", said)])
    print_pairs(
        [
            ("数据流 · origin", document["origin"]),
            ("检查点 · checkpoint", f"{document['size']} 条 entries, root {document['root']}"),
            *(
                ("见证 · cosigned", f"{each['witness']}, {_utc(each['time_seconds'])}")
                for each in document["cosigned"]
            ),
            *_unchecked(document["cosignatures_unchecked"]),
        ]
    )
    print_entry({**document, "withheld_whole": False, "quarantined": []}, _SHOWN)


def _unchecked(number: int) -> list[tuple[str, object]]:
    """That there are cosignatures which count for nothing, as nobody named their keys."""
    if not number:
        return []
    said = f"另有 {number} 个见证签名未核对,用 --witness 指定公钥"
    return [("未核对 · unchecked", f"{said} · cosignatures not checked: name keys with --witness")]
