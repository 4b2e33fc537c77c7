"""The notice to an invited person, and the interface of the channels. It holds no word of the conversation itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from django.utils.translation import gettext as _

MAX_NAME = 40
"""Characters of a name in a notice: enough to know somebody by, too few for a message in disguise."""


class NotSent(Exception):
    """The notice did not go out. The text says why, to the agent who invited; it holds no secret and no link."""


class Passing(NotSent):
    """A temporary failure: the other side is away, busy or limits us. The same notice may well go out later."""


class Refused(NotSent):
    """It would not go out at a second attempt either: somebody has to correct something first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`key` is the digest of the link's token: the same link is the same notice, however often it is sent."""

    key: str
    participant_id: int
    conversation_id: int
    contact: str
    name: str
    role: str
    invited_by: str
    tenant: str
    tenant_name: str
    link: str

    def title(self, most: int = MAX_NAME) -> str:
        """Who invites, and where, with at most `most` characters of each name."""
        return _("%(who)s invites you to a conversation (%(where)s)") % {
            "who": plain(self.invited_by, most) or "Tandem",
            "where": plain(self.tenant_name, most),
        }

    def advice(self) -> str:
        return _("The link works once. Do not pass it on.")


def plain(name: str, most: int = MAX_NAME) -> str:
    """A name on one line, not too long: nobody's name writes a header or a second paragraph."""
    return " ".join(name.split())[:most]


def is_passing(status: int) -> bool:
    """Whether an HTTP status is a temporary failure: the same request may succeed later."""
    return status in (408, 425, 429) or status >= 500


class Notifier(Protocol):
    """A way to reach somebody. `name` goes on record."""

    name: str

    def is_set_up(self) -> bool:
        """Whether the installation's settings name all that it needs."""

    def send(self, notice: Notice) -> None:
        """Returns once the other side has taken the notice. Raises `NotSent`."""
