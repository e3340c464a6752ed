"""People: who has an account here, entering them, changing them, and letting them in again.

Every deed asks for the administrator's own password where it was given ten minutes ago, and is in
the audit trail. A one-time password is shown once, on the page that answers the deed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response

from huying.common.codes import is_within
from huying.common.errors import Code, HuyingError
from huying.node.store.reader import Reader
from huying.node.web.access.passwords import draw_password
from huying.node.web.access.people import Person, check_area
from huying.node.web.access.proof import must_prove
from huying.node.web.access.role_words import role_hint
from huying.node.web.access.roles import ROLES_OF_LEVEL, Permission, parse_roles, role_names
from huying.node.web.access.totp import SecondFactors
from huying.node.web.forms import Form
from huying.node.web.page import Ask, Nav, Page
from huying.node.web.refusals import plain

__all__ = ["PAGES"]

_QUERY_CHARACTERS_MAX: Final = 60
_DRAFT_NEW: Final = "person:new"
_TEXTS: Final = ("login", "name", "department", "area", "actor", "language")


# --- the list ---------------------------------------------------------------------------------


async def people(ask: Ask) -> Response:
    """Everybody who has an account here, narrowed as the administrator wishes."""
    site = ask.site
    everybody = await site.on_thread(site.accounts.list)
    logins = await site.on_thread(site.accounts.last_logins)
    q, state = ask.query("q")[:_QUERY_CHARACTERS_MAX].casefold(), ask.query("state")
    shown = [
        one
        for one in everybody
        if (not state or one.disabled == (state == "disabled"))
        and (not q or any(q in text.casefold() for text in _searched(ask, one)))
    ]
    return await ask.render(
        "people.html",
        people=shown,
        total=len(everybody),
        logins=logins,
        role_text={one.id: _role_text(ask, one) for one in shown},
        q=ask.query("q"),
        state=state,
    )


def _searched(ask: Ask, one: Person) -> tuple[str, ...]:
    return (one.login, one.name, one.actor, one.department, _role_text(ask, one))


def _role_text(ask: Ask, one: Person) -> str:
    return ask.t("、", ", ").join(ask.t(*role_names(role)) for role in one.roles)


# --- entering and changing --------------------------------------------------------------------


@dataclass(slots=True)
class _Values:
    """What a person's form shows: text by field, and the roles that are ticked."""

    texts: Mapping[str, str] = field(default_factory=dict)
    roles: tuple[str, ...] = ()


async def new_person(ask: Ask) -> Response:
    """The form of a new account."""
    refused = await must_prove(ask, ask.url("person-new"))
    if refused is not None:
        return refused
    draft = await ask.site.on_thread(lambda: ask.site.drafts.find(ask.person.id, _DRAFT_NEW))
    texts = dict(draft.fields) if draft else {}
    values = _Values(texts, tuple(filter(None, [texts.get("role", "")])))
    return await _form(ask, None, values, "")


async def add_person(ask: Ask) -> Response:
    """Enter somebody; the page shows their one-time password."""
    refused = await must_prove(ask, ask.url("person-new"))
    if refused is not None:
        return refused
    form, now, password = await ask.form(), ask.now(), draw_password()
    values = _typed(form)
    try:
        fields = _checked(ask, values)
        person = await ask.site.on_thread(
            lambda: ask.site.accounts.add(
                login=values.texts["login"], password=password, now=now, **fields
            )
        )
    except HuyingError as error:
        return await _form(ask, None, values, plain(error, ask.language))
    await _note(ask, "account-add", person, f"roles {_role_values(person)}")
    await ask.site.on_thread(lambda: ask.site.drafts.drop(ask.person.id, _DRAFT_NEW))
    return await _password_slip(ask, person, password, is_new=True)


async def person_page(ask: Ask) -> Response:
    """One account: its form, and what else may be done with it."""
    person = await _asked_person(ask)
    refused = await must_prove(ask, ask.url("person", person=person.id))
    if refused is not None:
        return refused
    texts = {name: str(getattr(person, name)) for name in _TEXTS}
    values = _Values(texts, tuple(role.value for role in person.roles))
    return await _form(ask, person, values, "")


async def save_person(ask: Ask) -> Response:
    """Change an account; other rights end its sessions."""
    person = await _asked_person(ask)
    refused = await must_prove(ask, ask.url("person", person=person.id))
    if refused is not None:
        return refused
    form, now = await ask.form(), ask.now()
    values = _typed(form)
    try:
        fields = _checked(ask, values)
        fields["actor"] = fields["actor"] or person.actor
        changed = await ask.site.on_thread(
            lambda: ask.site.accounts.change(person.id, now, **fields)
        )
    except HuyingError as error:
        return await _form(ask, person, values, plain(error, ask.language))
    if changed == person:
        return ask.redirect("people", notice="unchanged")
    names = [name for name in fields if getattr(changed, name) != getattr(person, name)]
    detail = f"{', '.join(names)}; roles {_role_values(changed)}"
    await _note(ask, "account-change", changed, detail)
    return ask.redirect("people", notice="saved")


def _typed(form: Form) -> _Values:
    return _Values({name: form.text(name, 300) for name in _TEXTS}, tuple(form.many("role")))


def _checked(ask: Ask, values: _Values) -> dict[str, Any]:
    """The fields of an account. Raises HuyingError(INVALID_ARGUMENT)."""
    texts = values.texts
    return {
        "name": texts["name"],
        "roles": parse_roles(values.roles, ask.node.level),
        "department": texts["department"],
        "area": check_area(texts["area"], ask.node.code),
        "actor": texts["actor"],
        "language": texts["language"] or "zh",
    }


async def _form(ask: Ask, person: Person | None, values: _Values, wrong: str) -> Response:
    names = await ask.node.names()
    departments: list[str] = []
    try:
        departments = await ask.node.read(_departments)
    except HuyingError:  # without the node's database, names are typed
        departments = []
    return await ask.render(
        "person.html",
        status=400 if wrong else 200,
        one=person,
        values=values.texts,
        ticked=values.roles,
        offered=[
            (role.value, ask.t(*role_names(role)), role_hint(ask, role))
            for role in ROLES_OF_LEVEL[ask.node.level]
        ],
        departments=departments,
        areas=sorted((c, n) for c, n in names.items() if is_within(c, ask.node.code)),
        draft_key="" if person else _DRAFT_NEW,
        wrong=wrong,
        is_self=person is not None and person.id == ask.person.id,
    )


def _departments(reader: Reader) -> list[str]:
    return sorted({found.name for _, found in reader.departments() if found.name})


async def _asked_person(ask: Ask) -> Person:
    wanted = ask.path("person")
    found = await ask.site.on_thread(lambda: ask.site.accounts.by_id(wanted))
    if found is None:
        raise HuyingError(Code.NOT_FOUND, "no such account")
    return found


def _role_values(person: Person) -> str:
    return ",".join(role.value for role in person.roles)


async def _note(ask: Ask, action: str, person: Person, detail: str = "") -> None:
    await ask.audit(action, f"account:{person.login}", detail=detail)


async def _password_slip(ask: Ask, person: Person, password: str, *, is_new: bool) -> Response:
    return await ask.render(
        "person_password.html",
        one=person,
        password=password,
        is_new=is_new,
        address=ask.site.origin,
    )


# --- what else is done with an account --------------------------------------------------------


async def reset_person(ask: Ask) -> Response:
    """Another one-time password, the second factor away where that is ticked."""
    person = await _asked_person(ask)
    refused = await must_prove(ask, ask.url("person", person=person.id))
    if refused is not None:
        return refused
    form, now, password, site = await ask.form(), ask.now(), draw_password(), ask.site
    drop_factor = form.flag("factor") and person.has_second_factor

    def reset() -> None:
        site.accounts.set_password(person.id, password, now, one_time=True)
        if drop_factor:
            SecondFactors(site.console, ask.node.name).drop(person.id, now)
        site.throttle.forget(person.login, person.id)

    detail = "second factor dropped" if drop_factor else ""
    await _note(ask, "account-reset", person, detail)
    await site.on_thread(reset)
    return await _password_slip(ask, person, password, is_new=False)


async def disable_person(ask: Ask) -> Response:
    """Let somebody sign in no more."""

    def deed(person: Person) -> None:
        ask.site.accounts.disable(person.id, ask.now())

    return await _deed(ask, "account-disable", deed)


async def enable_person(ask: Ask) -> Response:
    """Let somebody sign in again."""

    def deed(person: Person) -> None:
        ask.site.accounts.enable(person.id, ask.now())

    return await _deed(ask, "account-enable", deed)


async def sign_person_out(ask: Ask) -> Response:
    """End every session of somebody, as when their handset was lost."""

    def deed(person: Person) -> None:
        ask.site.sessions.end_all(person.id)

    return await _deed(ask, "account-sign-out", deed)


async def _deed(ask: Ask, action: str, deed: Callable[[Person], None]) -> Response:
    person = await _asked_person(ask)
    refused = await must_prove(ask, ask.url("person", person=person.id))
    if refused is not None:
        return refused
    try:
        await ask.site.on_thread(lambda: deed(person))
    except HuyingError as error:
        if error.code is not Code.WRONG_STAGE:
            raise
        texts = {name: str(getattr(person, name)) for name in _TEXTS}
        values = _Values(texts, tuple(role.value for role in person.roles))
        return await _form(ask, person, values, plain(error, ask.language))
    await _note(ask, action, person)
    return ask.redirect("person", person=person.id, notice="saved")


_P: Final = Permission.PEOPLE
PAGES: Final = (
    Page("/people", "people", people, _P, nav=Nav("人员", "People", 90)),
    # Before the page that takes an id where this has a word.
    Page("/people/new", "person-new", new_person, _P),
    Page("/people/new", "person-add", add_person, _P, ("POST",)),
    Page("/people/{person}", "person", person_page, _P),
    Page("/people/{person}", "person-save", save_person, _P, ("POST",)),
    Page("/people/{person}/reset", "person-reset", reset_person, _P, ("POST",)),
    Page("/people/{person}/disable", "person-disable", disable_person, _P, ("POST",)),
    Page("/people/{person}/enable", "person-enable", enable_person, _P, ("POST",)),
    Page("/people/{person}/sign-out", "person-sign-out", sign_person_out, _P, ("POST",)),
)
