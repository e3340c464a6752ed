"""Other keys for TLS and sealing, another API token: made beside the old, then put in its place.

    keys/tls-next.key, tls-next.crt   made, announced, and not shown to anybody yet
    keys/hpke-next.key                made, and not announced yet
    keys/api.token.next, console/api-console.token.next    for a moment
    keys/hpke-<hex>.key               a former one: what was sealed to it can still be opened

Every step is a rename, so a crash leaves the old key or the new one. `complete_tls` finishes at the
next start what a crash cut in two.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.node import keys
from huying.node.folders import sync_folder

__all__ = [
    "complete_tls",
    "former_hpke",
    "next_tls",
    "prepare_hpke",
    "prepare_tls",
    "renew_console_token",
    "renew_token",
    "switch_hpke",
    "switch_tls",
]

NEXT_TLS_KEY: Final = "tls-next.key"
NEXT_TLS_CERTIFICATE: Final = "tls-next.crt"
NEXT_HPKE: Final = "hpke-next.key"


def prepare_tls(folder: Path, code: str) -> bytes:
    """Make a key and certificate to come, or take those that wait already; the certificate's DER.

    Raises HuyingError(KEY).
    """
    if not (folder / NEXT_TLS_CERTIFICATE).exists():
        (folder / NEXT_TLS_KEY).unlink(missing_ok=True)  # of an attempt that was cut short
        keys.create_tls(folder, code, NEXT_TLS_KEY, NEXT_TLS_CERTIFICATE)
        sync_folder(folder)
    found = next_tls(folder)
    assert found is not None
    return found


def next_tls(folder: Path) -> bytes | None:
    """The DER of the certificate that waits, or None. Raises HuyingError(KEY)."""
    try:
        pem = (folder / NEXT_TLS_CERTIFICATE).read_text("ascii")
        return ssl.PEM_cert_to_DER_cert(pem)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise HuyingError(Code.KEY, f"{folder / NEXT_TLS_CERTIFICATE}: can't be read") from None


def switch_tls(folder: Path) -> None:
    """Show the key and certificate that wait from now on."""
    if (folder / NEXT_TLS_KEY).exists():
        (folder / NEXT_TLS_KEY).replace(folder / keys.TLS_KEY_FILE)
    (folder / NEXT_TLS_CERTIFICATE).replace(folder / keys.TLS_CERTIFICATE_FILE)
    sync_folder(folder)


def complete_tls(folder: Path) -> None:
    """After a crash between the two renames: the key is in place, its certificate is not."""
    has_key, has_certificate = (
        (folder / name).exists() for name in (NEXT_TLS_KEY, NEXT_TLS_CERTIFICATE)
    )
    if has_certificate and not has_key:
        switch_tls(folder)


def prepare_hpke(folder: Path) -> bytes:
    """Make a sealing key to come, or take the one that waits; its public half, 32 bytes.

    Raises HuyingError(KEY).
    """
    path = folder / NEXT_HPKE
    if not path.exists():
        keys.create_hpke(path)
        sync_folder(folder)
    return keys.load_hpke(folder, NEXT_HPKE).public_key


def switch_hpke(folder: Path) -> None:
    """Have others seal to the key that waits; the old one stays, under its own name."""
    old = keys.load_hpke(folder)
    kept = folder / f"hpke-{old.public_key[:4].hex()}.key"
    if not kept.exists():
        kept.hardlink_to(folder / keys.HPKE_FILE)
    (folder / NEXT_HPKE).replace(folder / keys.HPKE_FILE)
    sync_folder(folder)


def renew_token(path: Path) -> None:
    """Put another access token in the place of the API's; a running node takes it at once.

    Raises HuyingError(KEY).
    """
    keys.load_token(path)
    _put_token(path)


def renew_console_token(path: Path) -> None:
    """The same for the console's, in the console's folder; neither need be there yet."""
    keys.private_folder(path.parent)
    _put_token(path)


def _put_token(path: Path) -> None:
    beside = path.with_name(f"{path.name}.next")
    beside.unlink(missing_ok=True)  # of an attempt that was cut short
    keys.write_private(beside, keys.draw_token())
    beside.replace(path)
    sync_folder(path.parent)


def former_hpke(folder: Path) -> list[keys.HpkeIdentity]:
    """The keys that things may have been sealed to before. Raises HuyingError(KEY)."""
    present = {keys.HPKE_FILE, NEXT_HPKE}
    names = sorted(path.name for path in folder.glob("hpke-*.key") if path.name not in present)
    return [keys.load_hpke(folder, name) for name in names]
