"""The settings of the console, the pages that people use in a browser, and of signing in there."""

from __future__ import annotations

from dataclasses import dataclass

from huying.node import setting_checks as check
from huying.node.setting_fields import setting

__all__ = ["ConsoleSection", "OidcSection"]


@dataclass(frozen=True, slots=True)
class ConsoleSection:
    """The pages for people, over HTTP."""

    listen: str | None = setting(
        check.address, "Where the console listens; absent: no pages are served.", None
    )
    by_node: bool = setting(
        check.truth,
        "Whether the node starts the console when somebody asks for a page; false: a service of"
        " its own runs huying console serve.",
        True,
    )
    origin: str | None = setting(
        check.web_origin,
        "The address people type, as https://desk.example; absent: that of listen.",
        None,
    )
    folder: str = setting(
        check.text, "Folder of accounts, sessions, drafts and pictures; mode 0700.", "console"
    )
    certificate: str | None = setting(
        check.text,
        "File of the certificate, PEM; absent: beyond loopback a self-signed one is made.",
        None,
    )
    key: str | None = setting(check.text, "File of the certificate's key; mode 0600.", None)
    proxied: bool = setting(
        check.truth,
        "A reverse proxy on this machine ends TLS and sends X-Forwarded-For; origin is then https.",
        False,
    )
    idle_minutes: int = setting(
        check.minutes, "A session ends when nothing was done for so long.", 30
    )
    session_minutes: int = setting(check.minutes, "A session ends after so long at most.", 720)
    second_factor: str = setting(
        check.one_of("optional", "administrators", "everyone"),
        "Who must have a second factor: optional (nobody), administrators (of accounts or of the"
        " node), everyone.",
        "administrators",
    )
    stay_minutes: int = setting(
        check.minutes, "The console's process ends when nobody asked for so long.", 20
    )


@dataclass(frozen=True, slots=True)
class OidcSection:
    """Signing in through an OpenID provider, beside passwords."""

    issuer: str | None = setting(
        check.web_address, "The provider's issuer URL; absent: passwords alone.", None
    )
    client_id: str | None = setting(check.text, "The console's id at the provider.", None)
    client_secret_file: str = setting(
        check.text, "File of the client's secret; mode 0600.", "keys/oidc.secret"
    )
    label: str = setting(check.name, "What the button says.", "统一身份认证")
