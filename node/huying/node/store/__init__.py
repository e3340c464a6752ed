"""The node's durable state: one database, one writer, any number of readers."""
