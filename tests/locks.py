"""Who holds a row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from django.db import OperationalError, connection, transaction

from messaging_app.models import Conversation


def is_held(conversation_id: int) -> bool:
    """Whether somebody else cannot lock the conversation's row now."""

    def try_it() -> bool:
        try:
            with transaction.atomic():
                Conversation.objects.select_for_update(nowait=True).get(pk=conversation_id)
        except OperationalError:
            return True
        finally:
            connection.close()
        return False

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(try_it).result()
