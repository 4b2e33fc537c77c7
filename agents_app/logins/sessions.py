"""The rows of logins (SESSION_ENGINE): Django's own store, whose read, which every page makes, is a statement built once."""

from __future__ import annotations

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from config.statements import Reading

_by_key = Reading(lambda key: Session.objects.filter(session_key=key), "")


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        """Its row, while it lasts; without one the store forgets the key, as Django's does."""
        rows = _by_key.rows(self.session_key)
        if rows and rows[0].expire_date > timezone.now():
            row: Session = rows[0]
            return row
        self._session_key = None
        return None
