"""A conversation rebuilt from its operations alone, without a look at the rows that they are meant to describe.

Pure. `Replay.apply` takes the operations by `seq`, and records a fault for each that could not have happened where it
stands; `Replay.of_rows` builds the same state from rows. The two must agree (invariants 9 and 10).

Operations of one transaction carry the same time, so neighbours with the same time are one verb. The turn is derived at
the end of each, as `settle` does it, but from the rules of the domain and not with its code.

The tests of races compare everything, clocks included. `check` takes `keeps_time=False`: it compares what does not
depend on the settings of that time, and ignores the faults, so that an operation of an unknown type changes nothing.

`conversation` is the state, made of the plain objects of `replayed`; `operations` goes through the operations, and
calls `sessions`, `transfers`, `flows` and `messages` for what each of them does; `clocks` says what becomes due, `turn`
whose turn it is after each verb; `roster` rebuilds a tenant's agents.
"""

from sessions_app.core.record.replay.conversation import differences
from sessions_app.core.record.replay.operations import Replay
from sessions_app.core.record.replay.replayed import Fault, LoadChange
from sessions_app.core.record.replay.roster import PRESENCE, Roster

__all__ = ["PRESENCE", "Fault", "LoadChange", "Replay", "Roster", "differences"]
