"""Security keys (WebAuthn, W3C Recommendation level 2) as a second factor beside the app's codes.

A key answers a challenge that the console drew, for the console's own address alone, so nobody who
looks on or makes a page that looks like ours can use the answer. `py_webauthn` judges answers; what
this module adds is whose keys there are, and that a challenge is worth one try.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Connection, delete, func, insert, select, update

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access.account_rows import end_sessions
from huying.node.web.schema import ACCOUNTS, SECURITY_KEYS
from huying.node.web.store import ConsoleStore

__all__ = ["Challenges", "Party", "SecurityKey", "SecurityKeys", "party_of"]

_CHALLENGE_BYTES: Final = 32
_CHALLENGES_MAX: Final = 1000  # of all sessions; what waited longest goes first


@dataclass(frozen=True, slots=True)
class Party:
    """Whom keys are made for. Both must be what browsers say they are."""

    id: str  # the domain
    origin: str  # with scheme and port


@dataclass(frozen=True, slots=True)
class SecurityKey:
    """One key of a person. Times are unix seconds."""

    id: str  # of the credential, base64url
    name: str
    added_seconds: float
    used_seconds: float  # 0: never


def party_of(origin: str) -> Party | None:
    """The party of a console's origin; None where browsers know no keys for such an address.

    They do over TLS, and for localhost; never for an address that is a number.
    """
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if host == "localhost":
        return Party(host, origin)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return Party(host, origin) if parts.scheme == "https" and host else None
    return None


class Challenges:
    """The challenges that wait for an answer, one for each session and purpose, in memory."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, str], tuple[bytes, float]] = OrderedDict()

    def draw(self, session: str, purpose: str, now: float, *, keep: bool = False) -> bytes:
        """Another one; the one before is void, but with `keep` it stands, if one waits."""
        before = self._waiting.get((session, purpose))
        if keep and before is not None:
            return before[0]
        self._waiting.pop((session, purpose), None)
        challenge = secrets.token_bytes(_CHALLENGE_BYTES)
        self._waiting[session, purpose] = challenge, now
        while len(self._waiting) > _CHALLENGES_MAX:
            self._waiting.popitem(last=False)
        return challenge

    def take(self, session: str, purpose: str, now: float) -> bytes | None:
        """The one that waits; it waits no longer, whatever becomes of the answer."""
        challenge, drawn = self._waiting.pop((session, purpose), (b"", 0.0))
        return challenge if challenge and now - drawn <= limits.SECOND_FACTOR_SECONDS else None


class SecurityKeys:
    """The keys of a console's people. Methods raise HuyingError as `ConsoleStore` does."""

    def __init__(self, store: ConsoleStore, party: Party, name: str = "") -> None:
        """`name` is what the browser shows of the console, e.g. the name of the division."""
        self._store = store
        self._party = party
        self._name = name

    def list(self, person_id: str) -> tuple[SecurityKey, ...]:
        """The person's keys, the oldest first."""
        query = select(SECURITY_KEYS).where(SECURITY_KEYS.c.account == person_id)
        with self._store.reading() as connection:
            rows = connection.execute(query.order_by(SECURITY_KEYS.c.added_seconds)).all()
        return tuple(SecurityKey(r.id, r.name, r.added_seconds, r.used_seconds) for r in rows)

    def creation_options(self, person_id: str, login: str, challenge: bytes) -> str:
        """What the browser needs to make a key, as JSON."""
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_registration_options(
            rp_id=self._party.id,
            rp_name=self._name or self._party.id,
            user_name=login,
            user_id=person_id.encode(),
            challenge=challenge,
            exclude_credentials=self._descriptors(person_id),
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                user_verification=structs.UserVerificationRequirement.PREFERRED,
                resident_key=structs.ResidentKeyRequirement.DISCOURAGED,
            ),
        )
        return webauthn.options_to_json(options)

    def request_options(self, person_id: str, challenge: bytes) -> str:
        """What the browser needs to ask one of the person's keys, as JSON."""
        import webauthn

        options = webauthn.generate_authentication_options(
            rp_id=self._party.id,
            challenge=challenge,
            allow_credentials=self._descriptors(person_id),
        )
        return webauthn.options_to_json(options)

    def add(
        self, person_id: str, name: str, answer: str, challenge: bytes | None, now: float
    ) -> bool:
        """Bring a key into use, where the answer is good; ends every session of the person.

        Raises HuyingError(INVALID_ARGUMENT) for a name that is none, or too many keys.
        """
        if not 0 < len(name) <= limits.NAME_CHARACTERS_MAX or not name.isprintable():
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"key_name: 1 to {limits.NAME_CHARACTERS_MAX} characters"
            )
        found = None if challenge is None else self._judged_new(answer, challenge)
        if found is None:
            return False
        from webauthn.helpers import bytes_to_base64url

        mine = SECURITY_KEYS.c.account == person_id
        with self._store.writing() as connection:
            count = connection.execute(select(func.count()).where(mine)).scalar_one()
            if count >= limits.SECURITY_KEYS_MAX:
                raise HuyingError(
                    Code.INVALID_ARGUMENT, f"keys: at most {limits.SECURITY_KEYS_MAX}; remove one"
                )
            key = bytes_to_base64url(found.credential_id)
            known = select(SECURITY_KEYS.c.id).where(SECURITY_KEYS.c.id == key)
            if connection.execute(known).first() is not None:
                return False
            connection.execute(
                insert(SECURITY_KEYS).values(
                    id=key,
                    account=person_id,
                    name=name,
                    public_key=found.credential_public_key,
                    sign_count=found.sign_count,
                    added_seconds=now,
                    used_seconds=0.0,
                )
            )
            _recount(connection, person_id, now)
        return True

    def check(self, person_id: str, answer: str, challenge: bytes | None, now: float) -> bool:
        """Whether one of the person's keys answered the challenge, and counted on since then.

        A key whose count did not go on may have been copied: it is refused (WebAuthn, 6.1.1).
        """
        from webauthn.helpers import parse_authentication_credential_json

        if challenge is None:
            return False
        try:
            key = parse_authentication_credential_json(answer).id
        except Exception:  # noqa: BLE001  # whatever a stranger's text makes of the library
            return False
        mine = (SECURITY_KEYS.c.id == key) & (SECURITY_KEYS.c.account == person_id)
        with self._store.writing() as connection:
            row = connection.execute(select(SECURITY_KEYS).where(mine)).first()
            count = None if row is None else self._judged_count(answer, challenge, row)
            if count is None:
                return False
            values = {"sign_count": count, "used_seconds": now}
            connection.execute(update(SECURITY_KEYS).where(mine).values(values))
        return True

    def remove(self, person_id: str, key: str, now: float) -> bool:
        """Take a key away, and end the person's sessions; whether it was theirs."""
        mine = (SECURITY_KEYS.c.id == key) & (SECURITY_KEYS.c.account == person_id)
        with self._store.writing() as connection:
            if connection.execute(delete(SECURITY_KEYS).where(mine)).rowcount == 0:
                return False
            _recount(connection, person_id, now)
        return True

    def _descriptors(self, person_id: str) -> Any:
        from webauthn.helpers import base64url_to_bytes, structs

        ids = [base64url_to_bytes(one.id) for one in self.list(person_id)]
        return [structs.PublicKeyCredentialDescriptor(id=one) for one in ids]

    def _judged_new(self, answer: str, challenge: bytes) -> Any:
        import webauthn

        try:
            return webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._party.id,
                expected_origin=self._party.origin,
            )
        except Exception:  # noqa: BLE001  # as above
            return None

    def _judged_count(self, answer: str, challenge: bytes, row: Any) -> int | None:
        import webauthn

        try:
            found = webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._party.id,
                expected_origin=self._party.origin,
                credential_public_key=row.public_key,
                credential_current_sign_count=row.sign_count,
            )
        except Exception:  # noqa: BLE001  # as above
            return None
        return found.new_sign_count


def _recount(connection: Connection, person_id: str, now: float) -> None:
    mine = SECURITY_KEYS.c.account == person_id
    left = connection.execute(select(func.count()).where(mine)).scalar_one()
    connection.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.id == person_id)
        .values(security_keys=left, changed_seconds=now)
    )
    end_sessions(connection, person_id)
