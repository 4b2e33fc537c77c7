"""The record: what the operations say happened, and whether the rows agree."""
