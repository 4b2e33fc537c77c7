"""That the record holds: checkpoints, marks of what is gone, and the one way in which operations go."""
