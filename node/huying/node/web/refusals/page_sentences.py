"""Refusals of the pages themselves, English and Chinese."""

from __future__ import annotations

from typing import Final

__all__ = ["PAGES"]

PAGES: Final[tuple[tuple[str, str], ...]] = (
    # What is not there, or not for this person: the two look alike.
    ("there is no such thing here, or it is not yours to see", "这里没有,或不归你查看"),
    ("there is no such call here, or it is not yours to see", "没有这件呼叫,或不归你查看"),
    ("there is no such event here, or it is not yours to see", "没有这个事件,或不归你查看"),
    ("there is no such entry here, or it is not yours to see", "没有这个条目,或不归你查看"),
    ("there is no such request here, or it is not yours to see", "没有这件申请,或不归你查看"),
    ("there is no such feed here, or it is not yours to see", "没有这条数据流,或不归你查看"),
    ("there is no such file here, or it is not yours", "没有这个文件,或不归你查看"),
    ("there is no such draft here", "没有这份草稿"),
    ("there is no such step", "没有这个步骤"),
    ("there is no such view of yours", "你没有这个视图"),
    ("too many figures wait to be counted", "等着统计的数字太多,请过一会儿再看"),
    ("there are no such figures here, or not for you", "没有这些数字,或不归你查看"),
    ("this call has no such entry here", "这件呼叫没有这个条目"),
    ("no such page in the runbook", "运维手册里没有这一页"),
    ("no such entry in quarantine; it may have been applied", "隔离区没有这个条目,可能已经生效"),
    ("this feed is not forked: there is no evidence", "这条数据流没有分叉,没有证据可看"),
    ("the wall shows the whole node; yours is a part of it", "大屏显示全县;你的账号只管其中一部分"),
    ("too many pages in a minute: go on in {n} s", "一分钟内打开的页面太多,请 {n} 秒后继续"),
    # The form itself.
    ("{free} bytes are free; no form is taken now", "磁盘快满了,现在不收表单,请联系运维"),
    ("the form: {text}", "表单读不出,请刷新页面后再试({text})"),
    ("draft: at most {n} KiB", "草稿最多 {n} KiB,请缩短文字"),
    ("console.db: a draft does not parse", "草稿读不出,请联系运维"),
    ("query: at most {n} characters", "筛选条件最多 {n} 个字,请减少几项"),
    ("views: at most {n}; remove one", "视图最多 {n} 个,请先删去一个"),
    ("page: not one of ours; go to the first page", "翻页位置不对,请回到第一页"),
    ("before: not one of ours; open the history anew", "翻页位置不对,请重新打开历次版本"),
    ("{field}: a day such as 2026-10-08", "{field}须为日期,例如 2026-10-08"),
    ("month: a year and a month, as 2026-10", "月份须为年和月,例如 2026-10"),
    ("month: a year from {n} and a month, as 2026-10", "月份须为 {n} 年以后的年和月,例如 2026-10"),
    ("what: one of save, drop, first, unset", "没有这个操作,请刷新页面"),
    ("phrase: save or drop", "没有这个操作,请刷新页面"),
    ("only: met or unmet", "筛选只能是 met 或 unmet"),
    # Calls.
    ("village: your account is limited to an area; choose one of it", "请选择你所管范围内的村"),
    (
        "category: holds a phone or ID number; name the matter",
        "类别里有电话或证件号,请只写是什么事",
    ),
    (
        "approve: you drafted this call; another principal approves it",
        "这件是你拟的,须由另一位负责人审签",
    ),
    ("reason: empty; say what to put right", "请写明要改什么"),
    ("{step}: not yours to take in this call", "「{step}」这一步不由你来办"),
    (
        "code: several have that name; type the code of 12 digits",
        "有几个单位都叫这个名称,请填 12 位区划代码",
    ),
    ("code: nobody has that name; type 12 digits", "没有叫这个名称的单位,请填 12 位区划代码"),
    ("department: choose the lead, or cite a duty item", "请选主办部门,或引用一条职责清单"),
    ("satisfaction: give stars for one of the three", "三项满意度至少评一项"),
    (
        "into: choose a call, or its id of 32 hex digits",
        "请选一件呼叫,或填它的编号(32 位十六进制)",
    ),
    ("{field}: a local time as 2026-10-08T17:00", "{field}须为当地时间,例如 2026-10-08T17:00"),
    ("call: tick 1 to {n} calls, then urge them", "请勾选 1 至 {n} 件呼叫,再催办"),
    # Events.
    ("a part of the event is missing here; repair the store", "事件缺了一部分,请联系运维修复"),
    ("the event is that of {code}; it settles it", "这个事件归 {code},由它办结"),
    ("the event is that of {code}; it opens it again", "这个事件归 {code},由它重新打开"),
    ("no room for the files of this form", "放不下这份表单里的文件,请联系运维清理磁盘"),
    ("category: one line without a phone or ID number", "类别须写在一行内,不带电话和证件号"),
    ("coordinates: LATITUDE,LONGITUDE ±METRES m", "位置格式不对,请重新定位或留空"),
    ("grid: there is no such grid here, or it is not yours", "没有这个网格,或不归你管"),
    (
        "person: filled in by somebody else, who is to sign in",
        "这是另一个人填写的,请由本人登录后提交",
    ),
    (
        "done: with what was reported at most {n} characters; say less",
        "办理情况连同上报的内容最多 {n} 个字,请写短些",
    ),
    ("the picture is no longer here: choose it again", "照片已不在这里,请重新选择"),
    ("other pictures are being read: send it again", "正在处理别的照片,请稍后再交一次"),
    ("a picture was being removed: send it again", "这张照片没有存好,请再交一次"),
    ("{free} bytes are free; no file is taken now", "磁盘空间不足,现在不收文件,请联系运维"),
    ("a file can't be taken: {text}", "文件存不下来({text}),请联系运维"),
    ("{folder}: a picture can't be kept: {text}", "照片存不下来({text}),请联系运维"),
    # The ledger.
    ("grid: choose one of yours", "请选一个你管的网格"),
    ("number: give a number or an address", "请填户号或住址"),
    (
        "somebody changed this record meanwhile; compare, and save again",
        "这条记录刚被别人改过,请对照后再保存",
    ),
    ("there is no such import, or it was a day ago", "没有这次导入,或已超过一天"),
    ("imports/salt: not 32 bytes; delete it", "导入目录已损坏,请联系运维"),
    (
        "id_number: somebody in the ledger has it; if they moved, move them from there",
        "台账里已有人用这个身份证号;真的搬了家,就到原来那一户点「迁到另一户」",
    ),
    ("{n} imports are under way; drop one of them", "已有 {n} 个导入在进行,请先取消一个"),
    ("the plan of this import is gone; upload again", "这次导入的内容已不在,请重新上传"),
    ("purpose: say what for, in some words", "请写明用途"),
    ("columns: tick one at least", "至少勾选一列"),
    ("format: xlsx or csv", "格式须为 xlsx 或 csv"),
    ("visited: lies ahead; write down what was", "走访时间还没到,请填实际时间"),
    ("visited: a date and a time, as 2026-01-31T09:30", "走访时间须为日期和时间"),
    ("kind: choose how", "请选择走访方式"),
    ("to: they live there already", "本来就住在那里"),
    # Disclosure on request.
    ("fields: tick what you need", "请勾选需要的内容"),
    ("department: choose one of yours", "请选择你所在的部门"),
    ("another department, or another person, asked", "这件是别的部门或别人申请的"),
    ("another node decides this request", "这件申请由另一个节点决定"),
    # Hotline orders.
    ("sheet: choose the table to import", "请选择要导入的表格"),
    ("mapping: choose one, or upload your own", "请选一个映射文件,或上传自己的"),
    ("the file is gone; upload it again", "文件已不在,请重新上传"),
    ("the import's folder: {text}", "导入目录存取失败({text}),请联系运维"),
    ("{n} files wait already; import or drop one of them", "已有 {n} 个文件待导入,请先处理一个"),
    ("sheet: over {n} MiB; split it", "表格超过 {n} MiB,请拆分"),
)
