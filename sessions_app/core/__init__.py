"""The locked conversation, and what is written under its lock: the operations and every status."""
