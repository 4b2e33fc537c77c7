"""What the browser may send. Only its format is checked here; the verb decides whether it is allowed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from agents_app.models import DECLARABLE
from agents_app.sharing import Sharing
from config import limits
from config.api import is_id
from messaging_app.incoming import clean
from messaging_app.models import Controller
from messaging_app.models.agent_tools import Draft
from sessions_app.actions.bulk import BulkAction
from sessions_app.queries import LIST_MOST, LIST_PAGE, View


class ListForm(forms.Form):
    """Which part of the list to show. An invalid value counts as absent: a bookmark never ends in an error."""

    view = forms.ChoiceField(choices=[(v.value, v.value) for v in View], required=False)
    saved = forms.IntegerField(min_value=1, max_value=limits.MAX_NUMBER, required=False)
    q = forms.CharField(max_length=limits.MAX_QUERY, required=False)
    controller = forms.ChoiceField(choices=[("", _("Anybody")), *Controller.choices], required=False)
    after = forms.CharField(max_length=64, required=False)
    rows = forms.IntegerField(min_value=1, required=False)

    def list_query(self) -> dict[str, Any]:
        self.is_valid()
        values = self.cleaned_data
        return {
            "view": View.ALL if values.get("saved") else View(values.get("view") or View.ALL),
            "saved": values.get("saved"),
            "q": values.get("q") or "",
            "controller": values.get("controller") or "",
            "after": values.get("after") or "",
            "rows": min(values.get("rows") or LIST_PAGE, LIST_MOST),
        }


class PresenceForm(forms.Form):
    availability = forms.ChoiceField(choices=DECLARABLE)
    reason = forms.CharField(max_length=limits.MAX_AVAILABILITY_REASON, required=False)


class ActForm(forms.Form):
    """One of the header's actions. `epoch` is that of the page the agent looked at, so that a stale one is refused."""

    epoch = forms.IntegerField(required=False)
    transfer = forms.IntegerField(required=False)
    session = forms.IntegerField(required=False)
    to = forms.CharField(max_length=32, required=False)
    label = forms.IntegerField(required=False)
    override = forms.BooleanField(required=False)
    reason = forms.CharField(max_length=limits.MAX_REASON, required=False)


class TextField(forms.CharField):
    """A text as it was typed; only CRLF becomes LF, and what no database can hold is replaced (`clean`)."""

    def __init__(self) -> None:
        super().__init__(max_length=limits.MAX_CONTENT, required=False, strip=False)

    def to_python(self, value: Any) -> Any:
        return clean((super().to_python(value) or "").replace("\r\n", "\n"))


class Ids(forms.Field):
    """Ids, each in a form field of this name, as a tuple."""

    widget = forms.MultipleHiddenInput

    def __init__(self) -> None:
        super().__init__(required=False)

    def to_python(self, value: Any) -> tuple[int, ...]:
        sent = [text for text in value or () if text]
        if not all(is_id(text) for text in sent):
            raise forms.ValidationError(_("This is no id."))
        return tuple(int(text) for text in sent)


class SayForm(forms.Form):
    """`message_id` is made in the browser, so that a message that is sent again is stored once."""

    mode = forms.ChoiceField(choices=[("reply", "reply"), ("note", "note")])
    content = TextField()
    attachment = Ids()
    message_id = forms.CharField(max_length=limits.MAX_ID, required=False)


class DraftForm(forms.Form):
    """`seen` is the version of the saved draft that the page knows."""

    mode = forms.ChoiceField(choices=Draft.Mode.choices)
    content = TextField()
    seen = forms.DateTimeField(required=False)


class CustomerForm(forms.Form):
    content = TextField()
    attachment = Ids()
    message_id = forms.CharField(max_length=limits.MAX_ID, required=False)


class SearchForm(forms.Form):
    """A text to search for: behind the slash or the @ in a composer, in the command bar, on the page of replies."""

    q = forms.CharField(max_length=limits.MAX_QUERY, required=False)


class BulkForm(forms.Form):
    """One action on the rows that are ticked."""

    id = forms.TypedMultipleChoiceField(coerce=int)
    action = forms.ChoiceField(choices=[(action.value, action.value) for action in BulkAction])
    label = forms.IntegerField(required=False)

    def __init__(self, values: Any) -> None:
        super().__init__(values)
        ids = [pk for pk in values.getlist("id") if is_id(pk)]
        self.fields["id"].choices = [(pk, pk) for pk in ids]  # type: ignore[attr-defined]
        self.fields["id"].error_messages["required"] = _("Tick some conversations first.")


class ReplyForm(forms.Form):
    shortcut = forms.CharField(max_length=1 + limits.MAX_SHORTCUT)
    title = forms.CharField(max_length=limits.MAX_TITLE)
    text = TextField()
    language = forms.CharField(max_length=limits.MAX_LANGUAGE, required=False)


class NewReplyForm(ReplyForm):
    scope = forms.ChoiceField(choices=Sharing.choices, required=False)


class SaveViewForm(ListForm):
    """The list's current filter, under a name."""

    name = forms.CharField(max_length=limits.MAX_VIEW_NAME)
    scope = forms.ChoiceField(choices=Sharing.choices, required=False)


class SeqForm(forms.Form):
    """The last operation that a page has seen, or that an agent has read."""

    seq = forms.IntegerField(min_value=0, max_value=limits.MAX_NUMBER)
