"""Refusals of the desks: events, disclosure on request, hotline orders, duty lists, figures."""

from __future__ import annotations

from typing import Final

__all__ = ["DESK"]

DESK: Final[tuple[tuple[str, str], ...]] = (
    # Events that a town handles.
    (
        "home: just the town above {code} handles its events, and this is {code2}",
        "{code} 的事件由它所属的乡镇办理,这里是 {code2}",
    ),
    ("no event {id} of {code} here", "这里没有 {code} 的这件事件"),
    ("no event {id} here", "这里没有这件事件"),
    ("home: name one, {text} has that id", "不止一个村有这个编号的事件,请指明是哪个村"),
    (
        "record: two villages have an event of this id, and the other one's is handled",
        "另一个村有同一编号的事件正在办理,这一件不能办理",
    ),
    ("request_id: it wrote something else before", "这次提交的编号已用于别的内容,请重新打开页面"),
    (
        "seen_number: the town wrote another word in between; look at the event again",
        "镇里刚有人处置过这件事件,请看过再办",
    ),
    (
        (
            "status: the town has settled this event; just the words of that may be corrected,"
            " until the village opens it again"
        ),
        "镇已办结这件事件,只能更正办结的话;村里重新打开后才能再办",
    ),
    (
        "status: the village has settled this event itself; it may open it again",
        "村里已办结这件事件,不用再办",
    ),
    ("text: say what was done, or what the village is to do", "请写明办理情况,或要村里做什么"),
    ("event is not the record that it is written under", "写的事件与记录的编号不符,已拒绝"),
    # Disclosure on request.
    ("no request {id} is known here", "这里没有这件申请"),
    ("no call {id} is known here", "这里没有这件呼叫"),
    ("{code} does not decide this request: {code2} does", "这件申请由 {code2} 决定"),
    (
        "{code} does not read the answer to this request: {code2} does",
        "这件申请的结果由 {code2} 查看",
    ),
    ("actor: a person's pseudonym, which is written down; name one", "请写明办理人的代号"),
    ("expires_micros: until when; there is no for ever", "请写明查看到什么时候,不能永久"),
    ("expires_micros: that is past", "期限已过,请填以后的时间"),
    ("expires_micros: {n} days at most; ask again then", "期限最多 {n} 天,到时可再申请"),
    ("ENTRY: no record {id} of another node here", "这里没有别的节点的这条记录"),
    (
        "ENTRY: two records have this id; name the entry, ORIGIN#INDEX",
        "有两条记录同为这个编号,请指明是哪个条目",
    ),
    (
        "ENTRY: {code} is no node below {code2}; ask downward",
        "{code} 不是 {code2} 的下级,只能向下级申请",
    ),
    (
        (
            "entry {n} of {feed}: nothing of it is held here, so no field of it can be named; ask"
            " for an entry that `huying feed show` shows in part"
        ),
        "这个条目在本节点什么也没有,无从指明要看哪个字段",
    ),
    ("verdict: APPROVED or DENIED", "请选同意或拒绝"),
    ("reason: one of the list, where it is denied", "拒绝时请选一个理由"),
    ("this request was decided already; see disclosure show", "这件申请已经有了决定"),
    ("nothing was given; deny a request that waits", "还没有提供过;待决定的申请请用拒绝"),
    ("department: another one asked", "这件是别的部门申请的"),
    ("department: it was asked for by {who}", "这件是 {who} 申请的"),
    (
        "{code} has not decided; it was last heard of at {time}",
        "{code} 还没有决定;最近一次联系是 {time}",
    ),
    ("{code} has not decided; it was never heard of", "{code} 还没有决定,也还没有联系上"),
    ("fields: name what is asked for", "请指明要看哪些字段"),
    ("fields: {name} is not withheld here; read the record", "{name} 没有留存在下级,可直接查看"),
    ("fields: {name} was erased, or never written", "{name} 已删,或从未填写"),
    ("the home denied it; disclosure show has the reason", "对方拒绝了,理由见申请"),
    ("the home has withdrawn it", "对方已撤回"),
    ("its time is over; ask again", "查看期限已过,请重新申请"),
    ("the home has not decided yet", "对方还没有决定"),
    ("the entry that was asked about is not held here", "申请的条目不在本节点"),
    ("no decision of {code}: {feed}", "没有 {code} 的决定"),
    ("no decision about it at {feed} {n}", "那里没有关于它的决定"),
    ("no request at {feed} {n}", "那里没有申请"),
    ("the request's id does not follow from what it asks", "申请的编号与内容不符,已拒绝"),
    ("the time that was asked for is over", "申请的期限已过"),
    ("it can't be given, whoever asks: {denial}; deny it", "不能提供({denial}),请拒绝"),
    ("nothing of it is given any more: it has ended", "已经结束,不再提供"),
    ("the decision is about another request", "决定针对的是另一件申请,已拒绝"),
    ("the sealed value is not held here, or not whole", "密封的内容不在本节点,或不完整"),
    ("the entry held here is not the one that was asked about", "本节点的条目与申请的不符,已拒绝"),
    (
        "sealed to another key than the department's: ask again",
        "内容是用别的密钥密封的,请重新申请",
    ),
    ("slot {slot}: not what {code} once committed to", "内容与 {code} 原来的承诺不符,已拒绝"),
    ("what was provided is no such record", "提供的内容读不出,已拒绝"),
    # Hotline orders.
    ("no order {id} here", "没有这张工单"),
    ("the order was given to {code}; only that node handles it", "工单已派给 {code},由它办理"),
    ("the order was imported by {code}", "工单是 {code} 导入的,由它改派"),
    ("the order is {order}; {deed} does not follow", "工单{order},不能{deed}"),
    ("text: missing; say what was done", "请写明办理情况"),
    ("text: missing; say why it is returned", "请写明退回的理由"),
    ("event: no event of this node has that id", "本节点没有这个事件"),
    ("the contact is sealed to a key that is not here", "联系方式是用别的密钥密封的,本节点打不开"),
    ("the sealed contact does not parse", "密封的联系方式读不出"),
    ("handler: must lie below this node, {code}", "承办单位须在本节点 {code} 辖区内"),
    (
        "handler: no node of that code is enrolled below; see huying roster list",
        "下级名册中没有这个承办单位",
    ),
    ("description: the order is over {n} bytes; shorten it", "工单超过 {n} 字节,请缩短内容"),
    ("source_id: the same as in row {n}; keep one", "工单编号与第 {n} 行相同,请留一行"),
    ("rows: 1 to {n} in one request", "一次 1 至 {n} 行"),
    ("rows: over {n} bytes in one request", "一次的行合计超过 {n} 字节"),
    # Duty lists, figures.
    ("no {what} of {list} has come here", "{list} 的职责清单还没有传到"),
    (
        (
            "version {n} of the duty list of {code} has no item of that number; `huying duty list`"
            " shows them"
        ),
        "{code} 的职责清单第 {n} 版没有这个编号",
    ),
    (
        "version {n} of the duty list of {code} is on its way: {n2} of {n3} items are here",
        "{code} 的职责清单第 {n} 版正在传来:{n3} 条中到了 {n2} 条",
    ),
    (
        "category: give a call, or a category, a title or a description",
        "请给出呼叫,或类别、标题、描述之一",
    ),
    ("items: none; a list has one item at least", "职责清单至少有一条"),
    (
        (
            "items: {n}, the limit is {n2}: a version is written in one commit; leave out what is"
            " no duty of towns, or merge items"
        ),
        "职责清单有 {n} 条,上限 {n2} 条,请合并",
    ),
    ("items: a number occurs twice; number anew", "职责清单有重复的编号"),
    ("by: department, town, category or month", "统计口径须为部门、乡镇、类别或月份"),
    (
        "by {what}: {n} rows, at most {n2}; count by something coarser",
        "共 {n} 行,最多 {n2} 行,请换更粗的口径",
    ),
    # The mapping file of an import.
    ("--mapping: {file}: over {n} bytes", "映射文件 {file} 超过 {n} 字节"),
    ("--mapping: {file}: not UTF-8; save it as UTF-8", "映射文件 {file} 不是 UTF-8,请另存为 UTF-8"),
    ("--mapping: {file} line {n}: {why}", "映射文件 {file} 第 {n} 行,{why}"),
    ("--mapping: {file}: {text}", "映射文件 {file} 读不出:{text}"),
)
