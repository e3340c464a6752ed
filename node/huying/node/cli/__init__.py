"""The command line: one small module for each command or group of commands."""
