"""Secrets that programs and people from outside send: API keys and tokens."""
