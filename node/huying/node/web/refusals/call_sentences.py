"""Refusals of the steps of a call, English and Chinese."""

from __future__ import annotations

from typing import Final

__all__ = ["CALLS"]

CALLS: Final[tuple[tuple[str, str], ...]] = (
    # By the stage.
    ("{why}; before it: {told}", "{why}。在此之前:{told}"),
    (
        "{step}: not allowed while the call is {stage}; allowed now: {turns}",
        "呼叫在「{stage}」环节,不能「{step}」。现在可办:{turns}",
    ),
    (
        "{step}: its window is closed; not allowed while the call is {stage}; allowed now: {turns}",
        "「{step}」的期限已过,呼叫在「{stage}」环节。现在可办:{turns}",
    ),
    (
        (
            "{step}: as often as the call's terms allow, already; not allowed while the call is"
            " {stage}; allowed now: {turns}"
        ),
        "「{step}」的次数已用完,呼叫在「{stage}」环节。现在可办:{turns}",
    ),
    (
        "{step} is not for {code} to take; the call is {stage}, allowed now: {turns}",
        "「{step}」不由 {code} 来办;呼叫在「{stage}」环节。现在可办:{turns}",
    ),
    (
        (
            "{step}: {code} may not take this step; the caller may {steps}, the rest is the"
            " answering node's"
        ),
        "「{step}」不由 {code} 来办;呼叫方可{steps},其余由应答方办",
    ),
    (
        "a {step} was sent{who} at {time} and {code} has not received it yet",
        "「{step}」已于 {time} 发出,{code} 还没有收到,不必再发",
    ),
    ("step: one that a person takes; {step} is not", "「{step}」不是由人来办的步骤"),
    ("step: the answering node writes one of {steps}", "应答方可办的步骤:{steps}"),
    (
        (
            "{step}: the call's id of {n} bytes, its caller, ratings from 1 to {n2}, a reason or"
            " text where the step needs one, no phone or ID number in it, and at most {n3} bytes in"
            " all are needed"
        ),
        (
            "「{step}」的内容不全或不合要求:须有理由或内容,不带电话和证件号,评价为 1 至 {n2} 星,"
            "合计不超过 {n3} 字节"
        ),
    ),
    # By what came before.
    (
        "{step}: the department was assigned by a ruling, and may not return the call",
        "部门由裁决指定,不得再退回",
    ),
    (
        "{step}: the time to accept or object is over; accept, or answer",
        "签收和异议的期限已过,请签收或答复",
    ),
    ("{step}: {name} objected once already", "{name} 已提过一次异议"),
    (
        "{step}: the call was objected to {n} times, as often as its terms allow",
        "这件已有 {n} 次异议,达到上限",
    ),
    ("{step}: a supplement is awaited already; resume first", "已在等补充,请先继续办理"),
    ("{step}: no supplement is awaited", "没有在等补充"),
    (
        "{step}: an extension was asked for already; the centre decides",
        "已申请延期,等呼应中心审批",
    ),
    (
        "{step}: {n} extensions were granted, as many as the call's terms allow",
        "已延期 {n} 次,达到上限",
    ),
    ("{step}: the answer clock has run out; answer", "答复期限已过,请尽快答复"),
    ("{step}: no extension was asked for", "没有人申请延期"),
    ("{step}: no department has the call", "还没有派给部门"),
    ("{step}: the call has {n} parties, and no room for more", "参与方已有 {n} 个,不能再加"),
    # By whom.
    (
        "{field}: the lead ({name}) or a co-handler ({list})",
        "这一步由主办({name})或协办({list})来办",
    ),
    (
        "{field}: {name} leads this call (主办), and takes this step",
        "这件由 {name} 主办,这一步由它来办",
    ),
    (
        "{field}: a co-handler (协办) of this call takes this step: {list}",
        "这一步由协办部门来办:{list}",
    ),
    # By what it says.
    ("dispatch.department: name the lead department", "请选主办部门"),
    ("dispatch.co_handlers: each once, and not the lead", "协办部门各选一次,且不含主办"),
    (
        "dispatch.duty_item: cite an item of the duty list, or have it approved by off_list",
        "请引用一条职责清单,或先办准入审批",
    ),
    (
        (
            "dispatch.duty_item: version {n} of the duty list has no item of that number; see"
            " `huying duty list`"
        ),
        "职责清单第 {n} 版没有这个编号",
    ),
    (
        (
            "dispatch.duty_item: no duty list of {code} is in force; import one with `huying duty"
            " import`"
        ),
        "{code} 还没有生效的职责清单,请先导入",
    ),
    (
        "ruling.department: name it where the objection is not upheld, and only there",
        "异议不成立时才写明部门,成立时不写",
    ),
    (
        "extension_decision.granted: the answer clock has run out; refuse it",
        "答复期限已过,不能再同意延期",
    ),
    (
        "closure.reason: {closure} while the call is {stage}",
        "在「{stage}」环节,办结理由须为「{closure}」",
    ),
    (
        "merge.into: the other call's id of {n} bytes, and its caller",
        "请写明并入的呼叫和它的呼叫方",
    ),
    ("merge.into: another call than this one", "不能并入这件自己,请另选一件"),
    (
        (
            "merge.into: it is answered by {code}; a call is merged into one of the same answering"
            " node"
        ),
        "那件由 {code} 应答;只能并入同一应答方的呼叫",
    ),
    (
        "merge.into: that call is {stage}; name one that goes on",
        "那件在「{stage}」环节,请选一件还在办的",
    ),
    (
        "merge.into: that call is {stage}; merge into one that goes on",
        "那件在「{stage}」环节,请选一件还在办的",
    ),
    ("merge.into: this node answers no such call", "本节点没有应答那件呼叫"),
    ("party.code: {code} takes part already", "{code} 已经参与"),
    ("party.code: must lie below this node, {code}", "参与方须在本节点 {code} 辖区内"),
    ("party: the call has not been received", "呼叫还没有收到"),
    (
        "party: other steps of this call belong in another request",
        "这件呼叫的其他步骤请另行提交",
    ),
    (
        "timeout.clock: clock {n} does not run in generation {n2}",
        "这个时限没有在走(第 {n2} 次)",
    ),
    ("timeout.clock: not due yet; it runs on", "这个时限还没到"),
    ("outage.until_micros: later than from_micros", "结束时间须晚于开始时间"),
    ("unreviewed_text: only an answer has one", "只有答复才有未审核的内容"),
    (
        "review.text: the answer's own text was erased or lost here; say it, or return it",
        "答复原文在本节点已删或遗失,请重写答复,或退回",
    ),
    # Raising, and drafts of it.
    (
        (
            "approved_by: version {n} of the policy of {code} asks for the town principal's"
            " approval: use `call draft` and `call approve`, or `call raise --approved-by`"
        ),
        "{code} 的规则(第 {n} 版)要求乡镇主要负责人审签,请先送审",
    ),
    ("decided_by: say which principal decides", "请写明由哪位负责人审签"),
    ("draft: it was approved by {who} before; nothing to do", "这份草稿已由 {who} 审签"),
    ("draft: it was refused by {who} before; nothing to do", "这份草稿已由 {who} 退回"),
    (
        (
            "event: no such event of this town or of a village below it has arrived here; name its"
            " village with --village, or look with: huying record list event"
        ),
        "本乡镇和各村没有这个事件,或还没有传到",
    ),
)
