"""Events: reported from a handset, listed, and brought to their end."""
