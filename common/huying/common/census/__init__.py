"""Questions asked of villages: counted at home, rounded, and put together (docs/ASK.md)."""
