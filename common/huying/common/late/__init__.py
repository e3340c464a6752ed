"""What changes of an entry after it was received: filled in, disclosed, erased."""
