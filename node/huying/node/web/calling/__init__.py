"""The calling side's desk: new calls, drafts, the principal's word, hotline orders."""
