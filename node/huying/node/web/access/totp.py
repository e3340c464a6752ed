"""The second factor: a code from an app, by time (RFC 6238), or one of ten recovery codes.

Codes have six digits and change every 30 seconds; the one before and the one after are taken too,
since handsets' clocks differ. Each step of time is taken once, so a code that was looked at over
somebody's shoulder is worthless after its owner used it. A recovery code is worth one time.
"""

from __future__ import annotations

import base64
import hmac
import io
import secrets
from dataclasses import dataclass, field
from typing import Final

from pyotp.totp import TOTP
from sqlalchemy import Connection, delete, func, insert, select, update

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access.account_rows import end_sessions
from huying.node.web.access.passwords import Cost, Hashing
from huying.node.web.schema import ACCOUNTS, RECOVERY_CODES, SECURITY_KEYS
from huying.node.web.store import ConsoleStore

__all__ = ["FactorOffer", "SecondFactors", "matching_step", "qr_data_uri", "qr_svg"]

STEP_SECONDS: Final = 30
_STEPS_BESIDE: Final = 1
_SECRET_BYTES: Final = 20  # 160 bits, as RFC 4226 recommends
_SALT_BYTES: Final = 16
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_CODE_GROUPS: Final = 3
_CODE_GROUP_CHARACTERS: Final = 4  # 12 characters of 31: 59 bits, behind argon2id
_CODE_CHARACTERS_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class FactorOffer:
    """A factor that its person has not confirmed yet."""

    secret: str = field(repr=False)  # base32, to be typed where no camera is
    uri: str = field(repr=False)  # otpauth://, as authenticator apps read it


class SecondFactors:
    """The second factors of a console. Methods raise HuyingError as `ConsoleStore` does."""

    def __init__(self, store: ConsoleStore, issuer: str, hashing: Hashing | None = None) -> None:
        """`issuer` is what the app shows beside the login, e.g. the name of the division."""
        self._store = store
        self._issuer = issuer
        self._hashing = hashing or Hashing()

    def offer(self, person_id: str, now: float) -> FactorOffer:
        """Draw a factor, which counts once it is confirmed; until then the one before stays.

        Asked again within five minutes, it is the same one. Raises HuyingError(NOT_FOUND).
        """
        query = select(ACCOUNTS.c.login, ACCOUNTS.c.pending_secret, ACCOUNTS.c.pending_until)
        with self._store.writing() as connection:
            row = connection.execute(query.where(ACCOUNTS.c.id == person_id)).first()
            if row is None:
                raise HuyingError(Code.NOT_FOUND, "no such account")
            secret = row.pending_secret
            if secret is None or row.pending_until <= now:
                secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()
            connection.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.id == person_id)
                .values(pending_secret=secret, pending_until=now + limits.SECOND_FACTOR_SECONDS)
            )
        uri = TOTP(secret, name=row.login, issuer=self._issuer).provisioning_uri()
        return FactorOffer(secret, uri)

    def confirm(self, person_id: str, code: str, now: float) -> tuple[str, ...] | None:
        """Bring the drawn factor into use, where the code is its own; None where it is not.

        Returns ten recovery codes, shown this once, and ends every session of the person.
        """
        codes = _draw_codes()
        rows = self._rows(person_id, codes)
        query = select(ACCOUNTS.c.pending_secret, ACCOUNTS.c.pending_until)
        with self._store.writing() as connection:
            row = connection.execute(query.where(ACCOUNTS.c.id == person_id)).first()
            if row is None or row.pending_secret is None or row.pending_until <= now:
                return None
            step = matching_step(row.pending_secret, code, now)
            if step is None:
                return None
            connection.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.id == person_id)
                .values(
                    totp_secret=row.pending_secret,
                    totp_step=step,
                    pending_secret=None,
                    pending_until=0.0,
                    changed_seconds=now,
                )
            )
            _put_codes(connection, person_id, rows)
            end_sessions(connection, person_id)
        return codes

    def check(self, person_id: str, code: str, now: float) -> bool:
        """Whether this is the code of now, or a recovery code; either is worth one time."""
        typed = code.strip()[:_CODE_CHARACTERS_MAX]
        query = select(ACCOUNTS.c.totp_secret).where(ACCOUNTS.c.id == person_id)
        with self._store.reading() as connection:
            secret = connection.execute(query).scalar()
        step = None if secret is None else matching_step(secret, typed, now)
        if step is None:
            return self._use_recovery_code(person_id, typed)
        with self._store.writing() as connection:
            used = connection.execute(
                update(ACCOUNTS)
                .where(
                    ACCOUNTS.c.id == person_id,
                    ACCOUNTS.c.totp_secret == secret,
                    ACCOUNTS.c.totp_step < step,
                )
                .values(totp_step=step)
            )
            return used.rowcount == 1

    def _use_recovery_code(self, person_id: str, code: str) -> bool:
        plain = "".join(one for one in code.casefold() if one.isalnum())
        if len(plain) != _CODE_GROUPS * _CODE_GROUP_CHARACTERS:
            return False
        query = select(RECOVERY_CODES.c.salt, RECOVERY_CODES.c.cost)
        query = query.where(RECOVERY_CODES.c.account == person_id).limit(1)
        with self._store.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return False
        found = self._hashing.raw(plain, row.salt, Cost.parse(row.cost))
        with self._store.writing() as connection:
            used = connection.execute(
                delete(RECOVERY_CODES).where(
                    RECOVERY_CODES.c.account == person_id, RECOVERY_CODES.c.hash == found
                )
            )
            return used.rowcount == 1

    def has_app(self, person_id: str) -> bool:
        """Whether an app makes codes for the person; security keys are another matter."""
        query = select(ACCOUNTS.c.totp_secret).where(ACCOUNTS.c.id == person_id)
        with self._store.reading() as connection:
            return connection.execute(query).scalar() is not None

    def recovery_codes_left(self, person_id: str) -> int:
        """How many recovery codes the person has not used."""
        query = select(func.count()).select_from(RECOVERY_CODES)
        with self._store.reading() as connection:
            found = connection.execute(query.where(RECOVERY_CODES.c.account == person_id))
            return found.scalar_one()

    def renew_codes(self, person_id: str) -> tuple[str, ...]:
        """Ten other recovery codes; the ones before are void."""
        codes = _draw_codes()
        rows = self._rows(person_id, codes)
        with self._store.writing() as connection:
            _put_codes(connection, person_id, rows)
        return codes

    def drop(self, person_id: str, now: float) -> None:
        """Take the second factor away, with keys and recovery codes, and end the sessions."""
        with self._store.writing() as connection:
            connection.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.id == person_id)
                .values(
                    totp_secret=None,
                    totp_step=0,
                    pending_secret=None,
                    pending_until=0.0,
                    security_keys=0,
                    changed_seconds=now,
                )
            )
            connection.execute(delete(SECURITY_KEYS).where(SECURITY_KEYS.c.account == person_id))
            connection.execute(delete(RECOVERY_CODES).where(RECOVERY_CODES.c.account == person_id))
            end_sessions(connection, person_id)

    def _rows(self, person_id: str, codes: tuple[str, ...]) -> list[dict[str, object]]:
        salt, cost = secrets.token_bytes(_SALT_BYTES), self._hashing.cost
        hashes = [self._hashing.raw(code.replace("-", ""), salt, cost) for code in codes]
        shared = {"account": person_id, "salt": salt, "cost": str(cost)}
        return [{**shared, "hash": one} for one in hashes]


def matching_step(secret: str, code: str, now: float) -> int | None:
    """The step of time that a code of six digits belongs to, among the three that are taken."""
    digits = "".join(code.split())
    if len(digits) != 6 or not (digits.isascii() and digits.isdecimal()):
        return None
    totp = TOTP(secret)
    present = int(now) // STEP_SECONDS
    found = None
    for step in range(max(0, present - _STEPS_BESIDE), present + _STEPS_BESIDE + 1):
        if hmac.compare_digest(totp.generate_otp(step), digits):
            found = step
    return found


def qr_svg(uri: str) -> bytes:
    """The URI as a QR code: an SVG element without scripts, styles or namespaces of others."""
    import segno

    out = io.BytesIO()
    segno.make(uri, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, scale=5, border=4, dark="#000", light="#fff", nl=False
    )
    return out.getvalue()


def qr_data_uri(uri: str) -> str:
    """The same as the address of a picture."""
    return "data:image/svg+xml;base64," + base64.b64encode(qr_svg(uri)).decode("ascii")


def _draw_codes() -> tuple[str, ...]:
    def draw() -> str:
        return "-".join(
            "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_GROUP_CHARACTERS))
            for _ in range(_CODE_GROUPS)
        )

    return tuple(draw() for _ in range(limits.RECOVERY_CODES))


def _put_codes(connection: Connection, person_id: str, rows: list[dict[str, object]]) -> None:
    connection.execute(delete(RECOVERY_CODES).where(RECOVERY_CODES.c.account == person_id))
    connection.execute(insert(RECOVERY_CODES), rows)
