"""What a tenant may set for itself, each policy declared once: its default, its bounds and its unit, and what people call it.

`row_policies.of(tenant).robot_session_timeout` is the tenant's own figure, or the installation's where it has none; bounds
and unit are those of the setting of the same meaning (`settings.FIGURES`). A tenant's figures are one column,
`Tenant.policies`, and so a new policy is one line of `Policies` and nothing else (docs/decisions/0020-policies.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, overload

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.forms import IntegerField
from django.utils.translation import gettext_lazy as _

from config.environment import Figure

if TYPE_CHECKING:
    Label = Any


class Policy[T]:
    """One figure that a tenant may set: a whole number, whose default is a setting of the TANDEM block.

    `label` is its name for people, with the unit. `team` is the column of a team's own figure, if teams may have one.
    """

    name: str

    def __init__(self, setting: str, label: Label, *, team: str = "") -> None:
        self.setting, self.label, self.team = setting, label, team

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @property
    def figure(self) -> Figure:
        figure: Figure = settings.FIGURES[self.setting]
        return figure

    @property
    def default(self) -> int:
        """The installation's figure."""
        return int(settings.TANDEM[self.setting])

    def check(self, value: object) -> None:
        """Raises Django's `ValidationError` for what is no whole number, or out of bounds."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError(IntegerField.default_error_messages["invalid"], code="invalid")
        MinValueValidator(int(self.figure.minimum))(value)
        MaxValueValidator(int(self.figure.maximum))(value)

    def value_in(self, own: Mapping[str, int], team: int | None = None) -> int:
        """The team's figure, else the tenant's, else the installation's."""
        return own.get(self.name, self.default) if team is None else team

    def read(self, value: int) -> T:
        """The figure in the type that the code uses."""
        raise NotImplementedError

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...
    @overload
    def __get__(self, holder: Policies, owner: type) -> T: ...
    def __get__(self, holder: Policies | None, owner: type) -> Self | T:
        return self if holder is None else self.read(holder.figure_of(self))


class Span(Policy[timedelta]):
    """A time, in seconds."""

    def read(self, value: int) -> timedelta:
        return timedelta(seconds=value)


class Count(Policy[int]):
    """A number of something."""

    def read(self, value: int) -> int:
        return value


class Policies:
    """The policies of one tenant. `own` is what its column holds: {"robot_session_timeout": 900}."""

    robot_session_timeout = Span("DEFAULT_SESSION_TIMEOUT", _("seconds until a silent robot’s session ends"))
    human_session_timeout = Span("HUMAN_SESSION_TIMEOUT", _("seconds until an agent’s session ends"))
    human_session_warning = Span("HUMAN_SESSION_WARNING", _("seconds before that end at which the agent is told"))
    waiting_session_timeout = Span("WAITING_SESSION_TIMEOUT", _("seconds until a session that waits ends"))
    transfer_timeout = Span("TRANSFER_TIMEOUT", _("seconds until a transfer times out"))
    offer_timeout = Span("OFFER_TIMEOUT", _("seconds to accept an offer"), team="offer_timeout")
    offer_round_pause = Span("OFFER_ROUND_PAUSE", _("seconds until everybody is offered it again"))
    offers_ignored = Count("OFFERS_IGNORED", _("offers that an agent may ignore in a row (0: any number)"))
    group_after = Span("GROUP_AFTER", _("seconds to take what a customer wrote"))
    history_gap = Span("HISTORY_GAP", _("seconds between two stretches of history"))
    late_message = Span("LATE_MESSAGE", _("seconds until a message that comes late is history"))
    context_messages = Count("CONTEXT_MESSAGES", _("messages that travel with a transfer"))

    def __init__(self, own: Mapping[str, int] | None = None, team: object | None = None) -> None:
        self._own, self._team = own or {}, team

    def figure_of(self, policy: Policy[Any]) -> int:
        """As `Policy.value_in` has it; None of a team's own for a policy that teams may not set."""
        of_team = getattr(self._team, policy.team) if policy.team and self._team else None
        return policy.value_in(self._own, of_team)

    def within(self, team: object | None) -> Policies:
        """The policies for a team of the tenant: its own figures where it has them."""
        return Policies(self._own, team)


ALL: tuple[Policy[Any], ...] = tuple(value for value in vars(Policies).values() if isinstance(value, Policy))
"""Every policy, in the order in which people are shown them."""
_BY_NAME = {policy.name: policy for policy in ALL}
BY_SETTING = {policy.setting: policy for policy in ALL}


# --- The column --------------------------------------------------------------------------------------------------


def validate(own: object) -> None:
    """A validator of the column: known names, whole numbers, within their bounds. Raises Django's `ValidationError`."""
    if not isinstance(own, dict):
        raise ValidationError("Policies are an object of names and whole numbers.")
    for name, value in own.items():
        if name not in _BY_NAME:
            raise ValidationError(f"There is no policy {str(name)[:50]!r}.")
        try:
            _BY_NAME[name].check(value)
        except ValidationError as error:
            raise ValidationError([f"{name}: {text}" for text in error.messages]) from None


def as_set(stored: object) -> dict[str, int]:
    """The valid figures of a stored column. Unknown names, and figures out of bounds since changed, do not count."""
    return {name: value for name, value in stored.items() if _counts(name, value)} if isinstance(stored, dict) else {}


def _counts(name: str, value: object) -> bool:
    try:
        _BY_NAME[name].check(value)
    except (KeyError, ValidationError):
        return False
    return True
