"""What every endpoint shares: who calls, by which scope, how often, at most once."""
