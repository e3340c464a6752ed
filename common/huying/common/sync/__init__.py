"""One link: what each side gets, from where it stands, and what it asks for."""
