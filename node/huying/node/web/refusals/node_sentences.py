"""Refusals of the node, its store and its API, English and Chinese."""

from __future__ import annotations

from typing import Final

__all__ = ["NODE"]

_OPERATIONS: Final = "请联系运维"
NODE: Final[tuple[tuple[str, str], ...]] = (
    ("draft {n}: {why}", "{why}"),
    # The API.
    ("the API did not answer", "节点没有应答"),
    ("the API takes no more calls, or the message is too large", "节点正忙,或内容过大"),
    ("the API refused the token", "节点没有认可控制台的令牌,请联系运维"),
    ("the API's token can't be read", "读不了节点的令牌文件,请联系运维"),
    ("the API answered {name}", "节点应答 {name},请联系运维"),
    (
        "authorization: Bearer TOKEN is needed, one that opens this method",
        "没有访问令牌,或令牌不准做这件事",
    ),
    ("type: draft {n} is no record that a page writes", "网页不写这一类记录,请联系运维"),
    ("not done within {n} s", "{n} 秒内没有办完,请稍后再试"),
    ("no method {what}", "节点没有这个功能,请升级节点"),
    ("no operation {what}", "节点没有这个功能,请升级节点"),
    ("{n} watches are open already", "同时观看的页面已有 {n} 个,请关掉几个"),
    ("figures are of a node that runs", "节点没有运行,没有实时数字"),
    ("a history is of a node that runs", "节点没有运行,没有曲线"),
    # The node itself.
    ("the node is stopping", "节点正在退出,请稍后再试"),
    ("{n} appends are waiting", "已有 {n} 个写入在排队,请稍后再试"),
    ("{n} requests wait", "已有 {n} 个请求在排队,请稍后再试"),
    (
        "the parent has not confirmed this feed yet; try again",
        "上级还没有确认本节点的数据流,请稍后再试",
    ),
    ("{name} is no later epoch of this node", "{name} 不是本节点后面的一期"),
    ("{name} is not the key of the next epoch", "{name} 不是下一期的密钥"),
    ("{code} is no child of this node", "{code} 不是本节点的下级"),
    ("no key of {code} waits for {code2}", "没有 {code} 的密钥等待 {code2} 确认"),
    ("{text}, within a minute or so: huying status", "还没有,一分钟左右再看:huying status"),
    ("begin a new epoch first", "请先开始新的一期"),
    # Lists and records.
    ("no such record of {code} here", "这里没有 {code} 的这条记录"),
    ("no such call here", "这里没有这件呼叫"),
    ("page_token is not one of ours", "翻页标记不对,请回到第一页"),
    ("page_token is of another list", "翻页标记属于别的列表,请回到第一页"),
    ("limit {n} is negative", "每页条数不能为负"),
    ("records of type {n} are not listed", "这类记录没有列表"),
    ("{name} have no grid", "这类记录没有网格"),
    ("no feed {feed}", "没有数据流 {feed}"),
    ("record type {n}", "未知的记录类型 {n},请升级节点"),
    ("a node of level {n} writes no {name}", "本级节点不能写 {name}"),
    ("an entry of {name} is not of kind {n}", "{name} 不能这样写入"),
    ("the record id is not {n} bytes", "记录编号须为 {n} 字节"),
    ("the {name} says a field twice, or a default", "{name} 的写法不规范"),
    ("not a {name} message", "{name} 读不出"),
    ("{field} holds a NUL", "{field}有空字符,请删去"),
    ("slot {slot}: not in the leaf, or twice", "明文与条目不符,请联系运维"),
    ("slot {slot}: not what was committed to", "明文与承诺不符,请联系运维"),
    ("to: at most {n} selectors", "接收方最多 {n} 个"),
    ("to: `to` names a selector twice", "接收方写了两次"),
    # Quarantine.
    ("entry {n} of {feed} is not in quarantine", "条目 {n} 不在隔离区"),
    ("{n} entries, {n2} at once", "选了 {n} 个条目,一次最多 {n2} 个"),
    # The store.
    ("every reading connection is in use", "同时读取的人太多,请稍后再试"),
    ("no database at {file}", "没有数据库 {file},请先启动节点"),
    (
        (
            "the database has schema {text}, this program {text2}: start the node once to bring it"
            " up to date"
        ),
        "数据库版本较旧,请先启动一次节点",
    ),
    ("the database has schema {text}, this program {text2}", "数据库版本与程序不符,请升级程序"),
    ("the database URL must start with sqlite:///", "数据库地址须以 sqlite:/// 开头"),
    ("journal_mode is {text}, it must be wal", f"数据库的日志方式不对,{_OPERATIONS}"),
    ("pragma {name} is {text}, not {text2}", f"数据库的设置不对,{_OPERATIONS}"),
    ("{name}: another process writes this database", "另一个程序正在写数据库"),
    ("{file} is open for writing", "另一个程序正在写数据库"),
    (
        "{file}: another program has been writing it for five seconds",
        "账号库正被别的程序写,请稍后再试",
    ),
    ("{file}: others may read it; run: chmod 600 {file2}", "{file} 须只有本人可读:chmod 600"),
    (
        "{file} has version {n}, this program {n2}: update the program",
        "账号库版本较新,请升级程序",
    ),
    ("{file}: no table {list}", f"账号库缺少表 {{list}},{_OPERATIONS}"),
    ("an applied entry without its head", f"数据库里的条目不完整,{_OPERATIONS}"),
    ("a stored {name} does not parse", f"数据库里有一条记录读不出,{_OPERATIONS}"),
    ("the head of {feed} {n} does not parse", f"数据库里有一个条目读不出,{_OPERATIONS}"),
    ("a row of hashes is not a multiple of 32 bytes", f"数据库里的散列读不出,{_OPERATIONS}"),
    ("feeds.classes does not parse", f"数据库里的数据流读不出,{_OPERATIONS}"),
    ("no room for entry {n} of feed {n2}", f"数据流的条目已满,{_OPERATIONS}"),
    ("console.listen: absent; name an address to serve pages at", "没有配置 console.listen"),
)
