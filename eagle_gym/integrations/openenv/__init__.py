"""The environment as a server of OpenEnv, and its client.

Importing this package loads nothing of OpenEnv: `models`, `client` and `server` need it.
"""
