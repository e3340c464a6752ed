"""Refusals of accounts, passwords and signing in, English and Chinese."""

from __future__ import annotations

from typing import Final

__all__ = ["ACCESS"]

ACCESS: Final[tuple[tuple[str, str], ...]] = (
    (
        (
            "login: {n} to {n2} characters: letters a-z, digits, Chinese characters, and . _ - @"
            " after the first"
        ),
        "登录名须有 {n} 至 {n2} 个字符:汉字、小写字母、数字,首字符之后还可用 . _ - @",
    ),
    ("login: another account has it", "这个登录名已有人使用"),
    ("actor: another account has it", "这个代号已有人使用"),
    ("{field}: another account has it", "{field}:已有别的账号使用"),
    ("accounts: at most {n}", "账号已满 {n} 个"),
    ("no such account", "没有这个账号"),
    ("no such account, or disabled", "没有这个账号,或已停用"),
    ("roles: at least one", "至少勾选一个本级的角色"),
    ("roles: {list}; at this tier there are {list2}", "至少勾选一个本级的角色"),
    ("name: {n} to {n2} characters", "请填写姓名,一行,至多 {n2} 字"),
    ("department: {n} to {n2} characters", "部门办理人须填写所属部门,一行,至多 {n2} 字"),
    ("actor: {n} to {n2} characters", "代号须为一行,至多 {n2} 字"),
    ("area: must lie within {code}", "限定范围须在本节点辖区内({code})"),
    ("area: a division code has 12 digits", "限定范围须为 12 位区划代码或 15 位网格代码"),
    ("language: {list}", "语言须为中文或英文"),
    ("subject: bound to another account", "这个身份已绑定在别的账号上"),
    (
        "password: known from a breach elsewhere: take another one",
        "这个密码已在别处泄露过,请换一个",
    ),
    ("password: the one that is being changed", "新密码与现用密码相同,请换一个"),
    (
        (
            "password: made of common words, runs of keys, dates, repetitions or your own name;"
            " such ones are guessed first: take several words that do not belong together"
        ),
        "密码多由常见词、键盘连号、日期、重复或本人姓名组成,容易先被猜中。请用几个互不相干的词连起来",
    ),
    (
        "password: {n} to {n2} characters; a sentence is good",
        "密码须有 {n} 至 {n2} 个字符,一句话最好记",
    ),
    ("too many people are signing in at once", "同时登录的人太多,请稍候再试"),
    (
        "the last account administrator: enter another one before this",
        "这是最后一位账号管理员,请先指定另一位",
    ),
    ("the account has no second factor", "这个账号没有设置第二因素"),
    (
        "the account has no password: unbound, nobody could sign in to it",
        "这个账号没有密码,解除绑定后就无法登录;请先请账号管理员重置密码",
    ),
    ("the account has no password: sign in again", "这个账号没有密码,请重新登录"),
    ("keys: at most {n}; remove one", "安全密钥最多 {n} 把,请先移除一把"),
    (
        "keys: browsers know them over TLS and a name alone",
        "本控制台的地址用不了安全密钥,须为 https 加域名",
    ),
    ("the session is over: sign in again", "登录已结束,请重新登录"),
    (
        "the link is void: start the node again, or run huying user add",
        "链接已失效。请在服务器上运行 huying console link 取得新链接",
    ),
    ("console.db: an account has an unknown role", "账号库里有未知的角色,请联系运维"),
    ("console.db: a hash without its cost", "账号库里的密码记录不完整,请联系运维"),
    ("a password's hash does not parse", "账号库里的密码记录读不出,请联系运维"),
    ("console.db: the audit trail has no beginning", "审计记录缺少开头,请联系运维"),
    ("audit: rows are kept for 184 days at least", "审计记录至少保存 184 天"),
    (
        "{file}: no sorted list of SHA-1 in hex, one a line ({why})",
        "泄露密码名单 {file} 的格式不对:应为排好序的 SHA-1,每行一个",
    ),
    # With the county's identity provider.
    ("follow the link on your account's page", "请从「我的账号」页面上的链接进入"),
    ("the account that began this is not signed in", "发起绑定的账号没有登录,请登录后再试"),
    ("no OpenID provider is set up: oidc.issuer", "没有配置统一身份认证(oidc.issuer)"),
    ("the OpenID provider did not answer: {kind}", "统一身份认证没有应答({kind}),请稍后再试"),
    ("the provider says: {text}", "统一身份认证答复:{text}"),
    ("the provider did not take the code; sign in again", "统一身份认证没有认可,请重新登录"),
    (
        "the sign-in was begun elsewhere, or too long ago; begin again",
        "这次登录是在别处发起的,或时间太久,请重新登录",
    ),
    ("state: not that of this browser's sign-in", "不是这个浏览器发起的登录,请重新登录"),
    ("iss: the answer is another provider's", "应答来自另一个认证服务,已拒绝"),
    ("id_token: its signature is none of the provider's", "身份令牌的签名不符,已拒绝"),
    (
        "id_token: the provider sent none; ask for the scope openid",
        "统一身份认证没有给出身份令牌,请联系运维",
    ),
    ("id_token: {list}: not what was asked for", "身份令牌的 {list} 与请求不符,已拒绝"),
    (
        "oidc.client_id: missing; the provider's operator gives it",
        "配置缺少 oidc.client_id,向认证服务的运维索取",
    ),
    (
        "oidc.issuer: https, or http on this machine alone",
        "配置 oidc.issuer 须为 https(本机可用 http)",
    ),
    ("oidc.issuer: its answer is too large", "认证服务的应答过大,请联系运维"),
    ("oidc.issuer: its answer is no JSON object", "认证服务的应答不合规,请联系运维"),
    ("oidc.issuer: its keys can't be read", "读不出认证服务的公钥,请联系运维"),
    (
        "oidc.issuer: its {name} is missing, or not https",
        "认证服务没有给出 {name},或不是 https,请联系运维",
    ),
    (
        "oidc.issuer: the provider names another issuer; write it as it does",
        "认证服务自称的名称与配置 oidc.issuer 不同,请照它的写法填",
    ),
    ("oidc.client_secret_file: {file}: chmod 600", "密钥文件 {file} 须只有本人可读:chmod 600"),
    ("oidc.client_secret_file: {file} can't be read: {text}", "读不了密钥文件 {file}:{text}"),
)
