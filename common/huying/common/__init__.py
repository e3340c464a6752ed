"""The core: messages in, messages out. No files, sockets, database, clock, chance or threads."""
