"""The console: pages for the people of one node, served by a process of its own.

It reads the node's database, writes through the node's API like every other program, and keeps
accounts, sessions, drafts and the audit trail in a database of its own. It holds no signing key.
"""
