"""Where tests find the project's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DATA: Final = ROOT / "tests" / "data"
TOPS: Final = ("common", "node", "hub")  # where the product's packages are
