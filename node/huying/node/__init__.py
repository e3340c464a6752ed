"""The process that every tier runs: store, links, API, metrics and commands around the core."""
