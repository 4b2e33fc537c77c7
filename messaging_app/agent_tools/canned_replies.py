"""Canned replies: what may stand in one, how they are searched and filled in for a conversation, and the verbs on them.

A variable is a word in braces out of `VARIABLES`; nothing else in a text means anything. It is filled in once, so that
braces in a customer's name stay braces.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, Case, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _

from agents_app.actors import Actor
from agents_app.sharing import SHARED_WITH, Sharing, held_by, must_keep, of_one_holder, seen_by
from config import limits
from config.db import lock_rows, retried
from config.errors import Conflict, Malformed, NameTaken, NotFound, TryAgain
from config.free_json import is_storable
from messaging_app.folding import without_marks
from messaging_app.models import Conversation
from messaging_app.models.agent_tools import CannedReply

VARIABLES: dict[str, Any] = {
    "customer": _("the customer’s name; the account where no name is known"),
    "first_name": _("the first word of that name"),
    "account": _("the customer’s account"),
    "shop": _("the shop"),
    "agent": _("the name of the agent who says it"),
}
"""What each variable is filled in with."""
MOST_REPLIES = 1000
"""Replies of one holder: an agent, a team or the tenant."""
MOST_WORDS = 8
"""Words of a query that count."""
SHOWN = 8
"""Replies that the composer offers."""

_SHORTCUT = re.compile(rf"/[\w-]{{1,{limits.MAX_SHORTCUT}}}")
_VARIABLE = re.compile(r"\{([^{}\n]{0,60})\}")
_APART = 10**15
"""More than there are rows: makes rank and id one sort key, from which the next page of results goes on."""


# --- What may stand in one ---------------------------------------------------------------------------------------


def folded(text: str) -> str:
    """A text in the form in which texts are compared: NFKC, case-folded; alike in every database and every script."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def checked_shortcut(text: str) -> str:
    """A shortcut as it is kept: in small letters, with its slash. Raises `Malformed`."""
    shortcut = folded(text.strip())
    shortcut = shortcut if shortcut.startswith("/") else f"/{shortcut}"
    if not _SHORTCUT.fullmatch(shortcut):
        raise Malformed(
            f"{text!r} is no shortcut: it has up to {limits.MAX_SHORTCUT} letters, digits, hyphens and underscores behind its slash."
        )
    return shortcut


def checked_text(text: str) -> str:
    """The text as it is. Raises `Malformed` for one that is empty, too long, or names an unknown variable."""
    if not text.strip() or not is_storable(text):
        raise Malformed("A canned reply needs text.")
    if len(text) > limits.MAX_REPLY:
        raise Malformed(f"A canned reply holds at most {limits.MAX_REPLY} characters; this one has {len(text)}.")
    for name in _VARIABLE.findall(text):
        if name not in VARIABLES:
            known = ", ".join(f"{{{known}}}" for known in VARIABLES)
            raise Malformed(f"There is no variable {{{name}}}. There are {known}.", variable=name)
    return text


def checked_title(title: str) -> str:
    """A title as it is kept: trimmed. Raises `Malformed`."""
    if not title.strip() or len(title) > limits.MAX_TITLE or not is_storable(title):
        raise Malformed(f"A canned reply needs a title of at most {limits.MAX_TITLE} characters.")
    return title.strip()


def remember(reply: CannedReply) -> None:
    """Set the text by which the reply is searched: as written, and once more without its marks. The caller saves."""
    written = folded(f"{reply.shortcut} {reply.title} {reply.text}")
    bare = without_marks(written)
    reply.sought = written if bare == written else f"{written}\n{bare}"


# --- Filling it in -----------------------------------------------------------------------------------------------


def values_for(conversation: Conversation, *, agent: str) -> dict[str, str]:
    """The values of the variables. None is empty: without a customer's name, the account takes its place."""
    customer = conversation.customer_name.strip() or conversation.account_id
    return {
        "customer": customer,
        "first_name": customer.split()[0] if customer.split() else customer,
        "account": conversation.account_id,
        "shop": conversation.shop_id,
        "agent": agent,
    }


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables filled in, once. What is no variable stays as it is."""
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)


# --- Finding -----------------------------------------------------------------------------------------------------


def replies_of(actor: Actor) -> QuerySet[CannedReply]:
    """The replies the actor may use, by shortcut. Raises `Forbidden`."""
    return seen_by(actor, CannedReply.objects.all())


def shared_as(rows: QuerySet[CannedReply], scope: str) -> QuerySet[CannedReply]:
    return rows.filter(SHARED_WITH[Sharing(scope)])


def find(rows: QuerySet[CannedReply], text: str) -> QuerySet[CannedReply]:
    """Replies in which any word of the text occurs, the best match first; all of them for a blank text.

    First those whose shortcut begins with the text, then those with more of its words, then with the marks that were
    typed; among equals one's own come before a team's, a team's before the tenant's. `place` is this order as a number.
    """
    words = list(dict.fromkeys(folded(text).split()))[:MOST_WORDS]
    if not is_storable(text):
        return rows.none()
    bare = [without_marks(word) or word for word in words]
    any_word = Q()
    for word in bare:
        any_word |= Q(sought__contains=word)
    begins = "/" + folded(text).strip().removeprefix("/")
    most = 3 * (MOST_WORDS + 1)
    rank = (
        _unless(Q(shortcut__startswith=begins)) * (most * most)
        + sum((_unless(Q(sought__contains=word)) for word in bare), Value(0)) * most
        + sum((_unless(Q(sought__contains=word)) for word in words), Value(0)) * 3
        + Case(
            When(SHARED_WITH[Sharing.PERSONAL], then=0),
            When(SHARED_WITH[Sharing.TEAM], then=1),
            default=2,
            output_field=IntegerField(),
        )
    )
    place = Cast(rank, BigIntegerField()) * Value(_APART, BigIntegerField()) + F("pk")
    return rows.filter(any_word).annotate(place=place).order_by("place")


def _unless(condition: Q) -> Combinable:
    """0 where the condition holds, otherwise 1: the smallest rank comes first."""
    return Case(When(condition, then=0), default=1, output_field=IntegerField())


def offered(actor: Actor, text: str) -> Iterable[CannedReply]:
    """The few replies that a composer shows for the text after the slash."""
    return find(replies_of(actor), text)[:SHOWN]


# --- Verbs -------------------------------------------------------------------------------------------------------


@retried
def create_reply(
    *,
    actor: Actor,
    shortcut: str,
    title: str,
    text: str,
    scope: str = Sharing.PERSONAL,
    team_id: int | None = None,
    language: str = "",
) -> CannedReply:
    """Create a reply of the actor's own; supervisors also create a team's or the tenant's.

    Raises `Malformed`, `NameTaken` for a shortcut that its holder has, `Conflict` when there are too many, `Forbidden`.
    """
    with transaction.atomic():
        reply = CannedReply(**held_by(actor, scope, team_id), language=language[: limits.MAX_LANGUAGE])
        if of_one_holder(CannedReply.objects.all(), reply).count() >= MOST_REPLIES:
            raise Conflict(f"There are {MOST_REPLIES} canned replies already; delete one first.")
        return _write(actor, reply, shortcut=shortcut, title=title, text=text)


@retried
def change_reply(*, actor: Actor, reply_id: int, **changes: Any) -> CannedReply:
    """Change shortcut, title, text or language, if given. Raises `NotFound`, and what `create_reply` does."""
    with transaction.atomic():
        reply = _locked(actor, reply_id)
        reply.language = changes.pop("language", reply.language)[: limits.MAX_LANGUAGE]
        fields = {"shortcut": reply.shortcut, "title": reply.title, "text": reply.text} | changes
        return _write(actor, reply, **fields)


@retried
def delete_reply(*, actor: Actor, reply_id: int) -> None:
    """Raises `NotFound`, `Forbidden`."""
    with transaction.atomic():
        _locked(actor, reply_id).delete()


def reply(actor: Actor, reply_id: int) -> CannedReply:
    """One of the replies the actor may use. Raises `NotFound`, also for a colleague's own."""
    row = replies_of(actor).filter(pk=reply_id).first()
    if row is None:
        raise NotFound("There is no such canned reply.")
    return row


def _locked(actor: Actor, reply_id: int) -> CannedReply:
    """A reply the actor may change, locked."""
    must_keep(actor, Sharing.PERSONAL)
    row = lock_rows(replies_of(actor).filter(pk=reply_id)).first()
    if row is None:
        raise NotFound("There is no such canned reply.")
    must_keep(actor, row.scope)
    return row


def _write(actor: Actor, reply: CannedReply, *, shortcut: str, title: str, text: str) -> CannedReply:
    reply.shortcut, reply.title, reply.text = checked_shortcut(shortcut), checked_title(title), checked_text(text)
    if of_one_holder(CannedReply.objects.all(), reply).filter(shortcut=reply.shortcut).exclude(pk=reply.pk).exists():
        raise NameTaken(f"There is a canned reply {reply.shortcut} already.")
    remember(reply)
    reply.changed_by = actor.name
    try:
        with transaction.atomic():
            reply.save()
    except IntegrityError as error:
        raise TryAgain(f"{reply.shortcut} was taken just now") from error
    return reply
