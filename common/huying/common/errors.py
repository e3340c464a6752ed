"""Every way in which Huying says no: one closed list of codes, one exception.

A code has a number (it travels in `Refusal` frames), a gRPC status, a process exit code, and what
a person should do, in Chinese and English. Words that a peer sends never choose a code path: only
the numbers below do, and an unknown number reads as `UNKNOWN`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

__all__ = [
    "ADVICE",
    "EXIT_INTERNAL",
    "EXIT_OK",
    "EXIT_USAGE",
    "STORE_FAULTS",
    "Advice",
    "Code",
    "HuyingError",
]

EXIT_OK: Final = 0
EXIT_INTERNAL: Final = 1
EXIT_USAGE: Final = 2


class Code(enum.IntEnum):
    """What went wrong. Numbers are stable: they are on the wire and in quarantine tables."""

    UNKNOWN = 0
    # 1-19: a segment, or a frame, is refused as a whole.
    FRAME_MALFORMED = 1
    FRAME_TOO_LARGE = 2
    UNKNOWN_ORIGIN = 3
    BAD_NOTE = 4
    BAD_SIGNATURE = 5
    STALE_SIZE = 6
    START_MISMATCH = 7
    LIMIT_EXCEEDED = 8
    BAD_PROOF = 9
    FORK = 10
    FEED_FROZEN = 11
    VERSION_MISMATCH = 12
    NOT_ENROLLED = 13
    WRONG_NETWORK = 14
    UNEXPECTED_FRAME = 15
    NOT_SERVED = 16
    REVOKED = 17
    EPOCH_CLOSED = 18
    # 20-39: an entry is quarantined, an opening dropped; the segment stands.
    BAD_LEAF = 20
    BAD_HEAD = 21
    UNKNOWN_TYPE = 22
    TYPE_NOT_ALLOWED = 23
    WRONG_REGION = 24
    NUMBER_REUSED = 25
    BAD_RECORD = 26
    OPENING_MISMATCH = 27
    BREACH = 28
    WITHHELD = 29
    TAIL_CUT = 30
    HEAD_REPLAYED = 31
    KEY_CHANGED = 32
    LOST = 33
    # 40-59: a request of a person or a program.
    INVALID_ARGUMENT = 40
    ENTRY_TOO_LARGE = 41
    NOT_FOUND = 42
    WRONG_STAGE = 43
    NOT_A_PARTY = 44
    UNAUTHENTICATED = 45
    BUSY = 46
    TOKEN_MALFORMED = 47
    JOIN_REFUSED = 48
    BUNDLE_TRUNCATED = 49
    BUNDLE_TAMPERED = 50
    BUNDLE_NOT_FOR_US = 51
    BUNDLE_REPEATED = 52
    BUNDLE_OUT_OF_ORDER = 53
    BUNDLE_GAP = 54
    NOT_ALONE = 55
    NOT_ENTITLED = 56
    EXPORT_TAMPERED = 57
    # 60-79: the node's own state.
    RECOVERING = 60
    DRAINING = 61
    STORE_FAILED = 62
    DISK_FULL = 63
    CONFIG = 64
    KEY = 65
    UNREACHABLE = 66
    CORRUPT = 67
    NODE_RUNNING = 68
    FORKED = 69
    BACKUP_KEY = 70
    BACKUP_DAMAGED = 71


# The store's own faults. Whatever a transaction wrote before one is half done, so it must be rolled
# back: nobody may answer one of these and go on inside the same transaction.
STORE_FAULTS: Final = frozenset(
    {Code.STORE_FAILED, Code.DISK_FULL, Code.CORRUPT, Code.NODE_RUNNING}
)


@dataclass(frozen=True, slots=True)
class Advice:
    """How one code is shown: gRPC status name, process exit code, and what to do."""

    grpc_status: str
    exit_code: int
    zh: str
    en: str


_PEER: Final = 3
_DATA: Final = 4
_REQUEST: Final = 5
_NODE: Final = 6

ADVICE: Final[dict[Code, Advice]] = {
    Code.UNKNOWN: Advice("UNKNOWN", EXIT_INTERNAL, "未知错误,请查看日志", "see the log"),
    Code.FRAME_MALFORMED: Advice(
        "INVALID_ARGUMENT",
        _PEER,
        "对方发来的数据帧不完整或无法解析",
        "the peer sent a broken frame",
    ),
    Code.FRAME_TOO_LARGE: Advice(
        "RESOURCE_EXHAUSTED", _PEER, "对方的数据帧超过上限", "the peer's frame is over the limit"
    ),
    Code.UNKNOWN_ORIGIN: Advice(
        "FAILED_PRECONDITION",
        _PEER,
        "名册中还没有这个节点,等待上级的名册条目",
        "not in the roster yet: wait for the roster entry of its parent",
    ),
    Code.BAD_NOTE: Advice(
        "INVALID_ARGUMENT", _DATA, "检查点格式不合规", "the checkpoint is not a well-formed note"
    ),
    Code.BAD_SIGNATURE: Advice(
        "UNAUTHENTICATED", _DATA, "签名不符,已拒收", "the signature does not verify; refused"
    ),
    Code.STALE_SIZE: Advice(
        "FAILED_PRECONDITION",
        _PEER,
        "对方出示的检查点比已持有的更小",
        "the checkpoint is smaller than what is held",
    ),
    Code.START_MISMATCH: Advice(
        "FAILED_PRECONDITION", _PEER, "数据段起点与已持有的不连续", "the segment does not join on"
    ),
    Code.LIMIT_EXCEEDED: Advice(
        "RESOURCE_EXHAUSTED", _PEER, "超过约定的上限", "a stated limit is exceeded"
    ),
    Code.BAD_PROOF: Advice(
        "INVALID_ARGUMENT",
        _DATA,
        "哈希证明不成立,已拒收",
        "the hashes do not fold to the signed root; refused",
    ),
    Code.FORK: Advice(
        "DATA_LOSS",
        _DATA,
        "该节点签出了两份互相矛盾的历史,已冻结并留证",
        "the origin signed two histories: frozen, evidence kept",
    ),
    Code.FEED_FROZEN: Advice(
        "FAILED_PRECONDITION", _DATA, "该数据流已冻结,等待人工处理", "frozen: an operator decides"
    ),
    Code.VERSION_MISMATCH: Advice(
        "FAILED_PRECONDITION", _PEER, "协议版本不兼容,请升级", "no common protocol version: upgrade"
    ),
    Code.NOT_ENROLLED: Advice(
        "UNAUTHENTICATED", _PEER, "对方未在本级名册中登记", "the peer is not in this roster"
    ),
    Code.WRONG_NETWORK: Advice(
        "FAILED_PRECONDITION", _PEER, "对方属于另一个网络", "the peer belongs to another network"
    ),
    Code.UNEXPECTED_FRAME: Advice(
        "FAILED_PRECONDITION", _PEER, "数据帧次序不对", "the frame is out of order"
    ),
    Code.NOT_SERVED: Advice(
        "PERMISSION_DENIED", _PEER, "该数据流不在这条链路上", "that feed does not travel this link"
    ),
    Code.BAD_LEAF: Advice("INVALID_ARGUMENT", _DATA, "叶子格式不合规", "the leaf is malformed"),
    Code.BAD_HEAD: Advice("INVALID_ARGUMENT", _DATA, "条目头无法解析", "the head is undecodable"),
    Code.UNKNOWN_TYPE: Advice(
        "UNIMPLEMENTED",
        _DATA,
        "未知的记录类型,原样保存;升级后再处理",
        "an unknown record type, kept as it is: upgrade, then retry",
    ),
    Code.TYPE_NOT_ALLOWED: Advice(
        "PERMISSION_DENIED", _DATA, "该层级无权写这类记录", "this tier may not write this type"
    ),
    Code.WRONG_REGION: Advice(
        "PERMISSION_DENIED", _DATA, "记录所属区划不是该节点", "the record belongs to another region"
    ),
    Code.NUMBER_REUSED: Advice(
        "DATA_LOSS", _DATA, "读者序号重复使用", "a running number was used twice"
    ),
    Code.BAD_RECORD: Advice(
        "INVALID_ARGUMENT", _DATA, "记录内容无法解析", "the record is undecodable"
    ),
    Code.OPENING_MISMATCH: Advice(
        "DATA_LOSS",
        _DATA,
        "明文与承诺不符,已丢弃并重新索取",
        "an opening matches no commitment: dropped and asked for again",
    ),
    Code.BREACH: Advice(
        "PERMISSION_DENIED",
        _DATA,
        "收到了本级不应持有的内容,已丢弃",
        "an opening that this node must not have was dropped before storage",
    ),
    Code.WITHHELD: Advice(
        "DATA_LOSS",
        _DATA,
        "对方隐瞒了本级应得的内容",
        "what this node may read is being withheld from it",
    ),
    Code.INVALID_ARGUMENT: Advice("INVALID_ARGUMENT", EXIT_USAGE, "输入有误", "mend the input"),
    Code.ENTRY_TOO_LARGE: Advice(
        "INVALID_ARGUMENT",
        _REQUEST,
        "条目超过 16 KiB,请缩短文字;附件另行上传",
        "over 16 KiB: shorten the text; attachments travel apart",
    ),
    Code.NOT_FOUND: Advice("NOT_FOUND", _REQUEST, "没有找到", "nothing by that name here"),
    Code.WRONG_STAGE: Advice(
        "FAILED_PRECONDITION", _REQUEST, "当前环节不能这样做", "not allowed at this stage"
    ),
    Code.NOT_A_PARTY: Advice(
        "PERMISSION_DENIED", _REQUEST, "本节点不是该呼叫的当事方", "not a party to this call"
    ),
    Code.UNAUTHENTICATED: Advice(
        "UNAUTHENTICATED", _REQUEST, "访问令牌不对", "the access token is missing or wrong"
    ),
    Code.BUSY: Advice("RESOURCE_EXHAUSTED", _REQUEST, "队列已满,请稍后再试", "full: retry soon"),
    Code.RECOVERING: Advice(
        "UNAVAILABLE",
        _NODE,
        "数据库落后于高水位标记,恢复前不写入;联系上级节点",
        "the store is behind its high-water mark: nothing is written until it has recovered",
    ),
    Code.DRAINING: Advice("UNAVAILABLE", _NODE, "节点正在退出", "the node is stopping; retry"),
    Code.STORE_FAILED: Advice(
        "INTERNAL", _NODE, "数据库读写失败,节点将退出并复核", "the store failed: restart and fsck"
    ),
    Code.DISK_FULL: Advice(
        "RESOURCE_EXHAUSTED", _NODE, "磁盘已满,请清理空间", "the disk is full: free some space"
    ),
    Code.CONFIG: Advice("INVALID_ARGUMENT", EXIT_USAGE, "配置有误", "mend the configuration"),
    Code.KEY: Advice(
        "FAILED_PRECONDITION", _NODE, "密钥缺失或不可用", "a key is missing or unusable"
    ),
    Code.UNREACHABLE: Advice(
        "UNAVAILABLE", _NODE, "连不上节点,请确认已运行", "the node does not answer: is it running?"
    ),
    Code.CORRUPT: Advice(
        "DATA_LOSS", _DATA, "数据与签名不符,请运行 fsck", "data does not match: run huying fsck"
    ),
    Code.NODE_RUNNING: Advice(
        "FAILED_PRECONDITION", _NODE, "节点正在运行,请先停止", "the node is running: stop it first"
    ),
    Code.REVOKED: Advice(
        "PERMISSION_DENIED",
        _PEER,
        "该节点的本期密钥已被上级吊销,此后的条目不再接收",
        "the epoch was revoked at a size: what lies past it is refused",
    ),
    Code.EPOCH_CLOSED: Advice(
        "FAILED_PRECONDITION",
        _PEER,
        "该期数据流已关闭,不再接收新条目",
        "the epoch was closed: nothing follows its last entry",
    ),
    Code.TAIL_CUT: Advice(
        "DATA_LOSS",
        _DATA,
        "数据流末尾被截留:对方知道的比送来的多",
        "the end of a feed is being kept back: its origin signed more than arrived",
    ),
    Code.HEAD_REPLAYED: Advice(
        "DATA_LOSS",
        _DATA,
        "对方重放了旧的检查点或心跳",
        "an old head is being shown again in place of the newest",
    ),
    Code.KEY_CHANGED: Advice(
        "DATA_LOSS",
        _DATA,
        "节点更换了密钥而旧密钥没有签字,等待上上级确认",
        "a key changed without the old key's word: the grandparent's operator must confirm it",
    ),
    Code.LOST: Advice(
        "DATA_LOSS", _DATA, "这些条目已无人持有", "nobody holds these entries any more"
    ),
    Code.TOKEN_MALFORMED: Advice(
        "INVALID_ARGUMENT",
        EXIT_USAGE,
        "加入令牌不完整,请重新复制",
        "the join token is damaged: copy it again, whole",
    ),
    Code.JOIN_REFUSED: Advice(
        "PERMISSION_DENIED",
        _PEER,
        "加入被拒绝,请向上级索取新的令牌",
        "the parent refused to enrol: ask it for a new token",
    ),
    Code.BUNDLE_TRUNCATED: Advice(
        "DATA_LOSS", _DATA, "数据包不完整,请重新拷贝", "the bundle is cut short: copy it again"
    ),
    Code.BUNDLE_TAMPERED: Advice(
        "DATA_LOSS",
        _DATA,
        "数据包被改动过,未导入任何内容",
        "the bundle was altered; nothing of it was imported",
    ),
    Code.BUNDLE_NOT_FOR_US: Advice(
        "PERMISSION_DENIED",
        _REQUEST,
        "数据包不是给本节点的",
        "the bundle is for another node: carry it there",
    ),
    Code.BUNDLE_REPEATED: Advice(
        "ALREADY_EXISTS",
        _REQUEST,
        "该数据包已经导入过",
        "the bundle was imported before; nothing to do",
    ),
    Code.BUNDLE_OUT_OF_ORDER: Advice(
        "FAILED_PRECONDITION",
        _REQUEST,
        "已导入过更新的数据包,这一份不再需要",
        "a later bundle was imported already: this one is not needed",
    ),
    Code.BUNDLE_GAP: Advice(
        "FAILED_PRECONDITION",
        _REQUEST,
        "缺少前面的数据包,请先导入",
        "an earlier bundle is missing: import it first",
    ),
    Code.EXPORT_TAMPERED: Advice(
        "DATA_LOSS",
        _DATA,
        "导出的文件夹不完整或被改动过,不予采信",
        "the export is incomplete or was altered: do not rely on it",
    ),
    Code.NOT_ALONE: Advice(
        "FAILED_PRECONDITION",
        _REQUEST,
        "该字段与其他字段同在一格,不能单独处理",
        "the field shares its compartment with others: it can't be treated by itself",
    ),
    Code.NOT_ENTITLED: Advice(
        "PERMISSION_DENIED",
        _REQUEST,
        "该申请不属于这个部门,无权查看",
        "it was provided to another department: ask in your own name",
    ),
    Code.FORKED: Advice(
        "DATA_LOSS",
        _NODE,
        "本节点签出了两份互相矛盾的历史,已停止写入,等待人工处理",
        "this node signed two histories: it writes nothing until its operator decides",
    ),
    Code.BACKUP_KEY: Advice(
        "FAILED_PRECONDITION",
        _NODE,
        "找不到解开备份的当期密钥",
        "the period key that opens this backup is not here",
    ),
    Code.BACKUP_DAMAGED: Advice(
        "DATA_LOSS",
        _DATA,
        "备份文件已损坏,未恢复任何内容",
        "the backup is damaged; nothing restored",
    ),
}


class HuyingError(Exception):
    """A refusal with a code from the closed list and a detail that names the field or the limit.

    `detail` is English for the log and the developer; screens lead with `code`'s advice. It never
    carries a key, a token or a person's data.
    """

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(f"{code.name}: {detail}" if detail else code.name)
        self.code = code
        self.detail = detail

    @property
    def advice(self) -> Advice:
        """What to do about it."""
        return ADVICE[self.code]
