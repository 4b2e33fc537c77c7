"""Secrets that programs and people from outside show: API keys and tokens."""
