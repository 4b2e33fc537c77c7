"""How every verb runs: one unit of work with its due timers first and the turn settled at its end."""
