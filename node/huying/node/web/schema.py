"""The tables of console.db: what the console itself remembers.

Nothing of the feed is here. Losing the file loses accounts, drafts and the audit trail, and no
record. Times are unix seconds, but in the audit trail, where a row's hash covers microseconds.

`VERSIONS` makes the tables, step by step, and is never changed once it was released: a change is
another step. A test holds the tables below to what the steps make.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Float, LargeBinary, MetaData, String, Table

from huying.node.store.tables import blob, integer, text_column

__all__ = [
    "ACCOUNTS",
    "AUDIT",
    "AUDIT_BASE",
    "DRAFTS",
    "METADATA",
    "ORIGINALS",
    "RECOVERY_CODES",
    "SECURITY_KEYS",
    "SESSIONS",
    "SETUP",
    "THROTTLE",
    "UPLOADS",
    "VERSIONS",
    "VIEWS",
]

METADATA: Final = MetaData()


def _seconds(name: str) -> Column[float]:
    return Column(name, Float, nullable=False)


ACCOUNTS: Final = Table(
    "accounts",
    METADATA,
    text_column("id", primary_key=True),
    text_column("login"),
    text_column("name"),
    text_column("actor"),
    text_column("roles"),  # values of Role, with commas between
    text_column("department"),
    text_column("area"),
    text_column("language"),
    integer("disabled"),
    text_column("password"),  # argon2id in PHC form; empty: signs in elsewhere, or not at all
    integer("must_change"),
    _seconds("password_until"),  # a one-time password is worthless after this; 0: no end
    Column("totp_secret", String),
    integer("totp_step"),  # the last step that was used, so that none is used twice
    Column("pending_secret", String),
    _seconds("pending_until"),
    Column("oidc_issuer", String),
    Column("oidc_subject", String),
    _seconds("created_seconds"),
    _seconds("changed_seconds"),
    _seconds("last_login_seconds"),
    integer("security_keys"),  # how many the person has in the table of that name
)
SECURITY_KEYS: Final = Table(
    "security_keys",
    METADATA,
    text_column("id", primary_key=True),  # of the credential, base64url
    text_column("account"),
    text_column("name"),
    blob("public_key"),  # COSE
    integer("sign_count"),
    _seconds("added_seconds"),
    _seconds("used_seconds"),
)
RECOVERY_CODES: Final = Table(
    "recovery_codes",
    METADATA,
    text_column("account", primary_key=True),
    Column("hash", LargeBinary, primary_key=True, nullable=False),
    blob("salt"),  # one for all the codes of a person, so that a try costs one hash
    text_column("cost"),  # that they were made at: KiB, passes, lanes
)
SESSIONS: Final = Table(
    "sessions",
    METADATA,
    text_column("id", primary_key=True),
    blob("token_sha256"),
    text_column("account"),
    _seconds("began_seconds"),
    _seconds("seen_seconds"),
    _seconds("reauthenticated_seconds"),
    integer("pending_factor"),
    text_column("address"),
    text_column("agent"),
)
AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("number", integer("number").type, primary_key=True, autoincrement=True),
    integer("time_micros"),
    text_column("actor"),
    text_column("action"),
    text_column("object"),
    text_column("outcome"),
    text_column("detail"),
    blob("hash"),
)
AUDIT_BASE: Final = Table(
    "audit_base",
    METADATA,
    integer("one"),
    integer("number"),  # rows up to this were removed for their age
    blob("hash"),  # of that row
)
THROTTLE: Final = Table(
    "throttle",
    METADATA,
    text_column("key", primary_key=True),
    integer("failures"),
    _seconds("seen_seconds"),
    _seconds("until_seconds"),
    _seconds("known_until"),
    integer("total_failures"),
    integer("total_refused"),
)
SETUP: Final = Table("setup", METADATA, integer("one"), blob("token_sha256"), _seconds("until"))
DRAFTS: Final = Table(
    "drafts",
    METADATA,
    text_column("account", primary_key=True),
    text_column("form_key", primary_key=True),
    text_column("fields"),  # JSON
    _seconds("saved_seconds"),
)
VIEWS: Final = Table(
    "views",
    METADATA,
    text_column("id", primary_key=True),
    text_column("account"),
    text_column("page"),
    text_column("name"),
    text_column("query"),
    _seconds("saved_seconds"),
)
UPLOADS: Final = Table(
    "owned_uploads",
    METADATA,
    text_column("preview", primary_key=True),  # digests in hex: of what travels as evidence,
    text_column("account", primary_key=True),  # who handed it in: one row for each of them,
    text_column("picture"),  # and of the picture that is kept here
    _seconds("at_seconds"),
)
ORIGINALS: Final = Table(
    "originals",
    METADATA,
    text_column("preview", primary_key=True),
    text_column("subject", primary_key=True),  # the event or call, in hex; empty: not raised yet
    text_column("account", primary_key=True),  # who kept it on purpose
    text_column("original"),  # digest in hex of the file as it was handed in
    _seconds("at_seconds"),
)

_FIRST: Final = (
    """CREATE TABLE accounts (
        id TEXT NOT NULL PRIMARY KEY, login TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        actor TEXT NOT NULL UNIQUE, roles TEXT NOT NULL, department TEXT NOT NULL,
        area TEXT NOT NULL, language TEXT NOT NULL, disabled INTEGER NOT NULL,
        password TEXT NOT NULL, must_change INTEGER NOT NULL, password_until REAL NOT NULL,
        totp_secret TEXT, totp_step INTEGER NOT NULL, pending_secret TEXT,
        pending_until REAL NOT NULL, oidc_issuer TEXT, oidc_subject TEXT,
        created_seconds REAL NOT NULL, changed_seconds REAL NOT NULL,
        last_login_seconds REAL NOT NULL, UNIQUE (oidc_issuer, oidc_subject))""",
    """CREATE TABLE recovery_codes (
        account TEXT NOT NULL REFERENCES accounts (id), hash BLOB NOT NULL, salt BLOB NOT NULL,
        cost TEXT NOT NULL, PRIMARY KEY (account, hash))""",
    """CREATE TABLE sessions (
        id TEXT NOT NULL PRIMARY KEY, token_sha256 BLOB NOT NULL UNIQUE,
        account TEXT NOT NULL REFERENCES accounts (id), began_seconds REAL NOT NULL,
        seen_seconds REAL NOT NULL, reauthenticated_seconds REAL NOT NULL,
        pending_factor INTEGER NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL)""",
    "CREATE INDEX ix_sessions_account ON sessions (account)",
    """CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT, time_micros INTEGER NOT NULL,
        actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, outcome TEXT NOT NULL,
        detail TEXT NOT NULL, hash BLOB NOT NULL)""",
    "CREATE INDEX ix_audit_actor ON audit (actor, number)",
    "CREATE INDEX ix_audit_action ON audit (action, number)",
    "CREATE INDEX ix_audit_object ON audit (object, number)",
    """CREATE TABLE audit_base (
        one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL,
        hash BLOB NOT NULL)""",
    "INSERT INTO audit_base VALUES (1, 0, zeroblob(32))",
    # INSERT OR REPLACE deletes without asking the triggers of DELETE.
    """CREATE TRIGGER audit_in_order BEFORE INSERT ON audit
        WHEN NEW.number != 1 + coalesce(
            (SELECT max(number) FROM audit), (SELECT number FROM audit_base))
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_base_alone BEFORE INSERT ON audit_base
        WHEN EXISTS (SELECT 1 FROM audit_base)
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
        WHEN OLD.number > (SELECT number FROM audit_base)
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_base_no_delete BEFORE DELETE ON audit_base
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    # In microseconds, the 184 days of AUDIT_KEPT_SECONDS_MIN.
    """CREATE TRIGGER audit_base_old BEFORE UPDATE ON audit_base
        WHEN NEW.number <= OLD.number OR NOT EXISTS (
            SELECT 1 FROM audit WHERE number = NEW.number AND hash = NEW.hash
            AND time_micros < (SELECT max(time_micros) FROM audit) - 15897600000000)
        BEGIN SELECT RAISE(ABORT, 'the audit trail is kept for six months'); END""",
    """CREATE TABLE throttle (
        key TEXT NOT NULL PRIMARY KEY, failures INTEGER NOT NULL, seen_seconds REAL NOT NULL,
        until_seconds REAL NOT NULL, known_until REAL NOT NULL,
        total_failures INTEGER NOT NULL, total_refused INTEGER NOT NULL)""",
    """CREATE TABLE setup (
        one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), token_sha256 BLOB NOT NULL,
        until REAL NOT NULL)""",
    """CREATE TABLE drafts (
        account TEXT NOT NULL REFERENCES accounts (id), form_key TEXT NOT NULL,
        fields TEXT NOT NULL, saved_seconds REAL NOT NULL, PRIMARY KEY (account, form_key))""",
    """CREATE TABLE views (
        id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (id),
        page TEXT NOT NULL, name TEXT NOT NULL, query TEXT NOT NULL,
        saved_seconds REAL NOT NULL)""",
    "CREATE INDEX ix_views_account ON views (account, page)",
    """CREATE TABLE uploads (
        preview TEXT NOT NULL PRIMARY KEY, picture TEXT NOT NULL, original TEXT NOT NULL,
        media_type TEXT NOT NULL, account TEXT NOT NULL, at_seconds REAL NOT NULL)""",
)
_SECURITY_KEYS: Final = (
    """CREATE TABLE security_keys (
        id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (id),
        name TEXT NOT NULL, public_key BLOB NOT NULL, sign_count INTEGER NOT NULL,
        added_seconds REAL NOT NULL, used_seconds REAL NOT NULL)""",
    "CREATE INDEX ix_security_keys_account ON security_keys (account)",
    "ALTER TABLE accounts ADD COLUMN security_keys INTEGER NOT NULL DEFAULT 0",
)
# Files are named by digest, and several people may hand in the same one: each of them owns it, and
# it goes with the last. No form kept an original before, so there is none to bring along.
_OWNED_UPLOADS: Final = (
    """CREATE TABLE owned_uploads (
        preview TEXT NOT NULL, account TEXT NOT NULL, picture TEXT NOT NULL,
        at_seconds REAL NOT NULL, PRIMARY KEY (preview, account))""",
    "INSERT INTO owned_uploads SELECT preview, account, picture, at_seconds FROM uploads",
    "DROP TABLE uploads",
    """CREATE TABLE originals (
        preview TEXT NOT NULL, subject TEXT NOT NULL, account TEXT NOT NULL,
        original TEXT NOT NULL, at_seconds REAL NOT NULL,
        PRIMARY KEY (preview, subject, account))""",
)
VERSIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST, _SECURITY_KEYS, _OWNED_UPLOADS)
