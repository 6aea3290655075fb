"""Accounts, keys and logins, and what people say and subscribe to."""
