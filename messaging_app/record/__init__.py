"""Whether the record holds: signed checkpoints, and the one way in which operations are deleted."""
