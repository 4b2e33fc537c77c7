"""What a conversation's operations say happened, without a look at the rows they are meant to describe.

Pure. `Replay.apply` takes the operations by `seq` and finds fault with each that could not have happened where it stands;
`Replay.of_rows` makes the same thing from rows. The two must agree (invariants 9 and 10).

Operations of one transaction carry the same time, so neighbours with the same time are one verb. The turn is derived at
the end of each, as `settle` does it, from the words of the domain and not from its code.

The tests of races ask for everything, clocks included. `check` asks for what does not depend on settings of then: it takes
`keeps_time=False`, and leaves out what a type that it does not know may have done.

`conversation` is the state, of the plain `rows`; `operations` goes through the operations, and asks `sessions`, `transfers`,
`flows` and `messages` for what each of them does; `clocks` says what becomes due, `turn` whose turn it is after each verb.
"""

from sessions_app.core.record.replay.conversation import differences
from sessions_app.core.record.replay.operations import Replay
from sessions_app.core.record.replay.replayed import Fault, LoadChange
from sessions_app.core.record.replay.roster import PRESENCE, Roster

__all__ = ["PRESENCE", "Fault", "LoadChange", "Replay", "Roster", "differences"]
