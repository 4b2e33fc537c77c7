"""manage.py check_stream: is each conversation's chain of operations whole, and the tenant's stream without a gap?

Operations of no conversation are chains of one: a change is seen in their hash, a loss as a gap in the stream.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Count, Max, Min

from messaging_app import stream
from messaging_app.models import Conversation, Operation


class Command(BaseCommand):
    help = (
        "Check the audit: every operation's hash against the one before it, and the numbering. Exit code 1 if broken."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", default="", help="short name of one tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        conversations = Conversation.objects.order_by("pk")
        operations = Operation.objects.all()
        if options["tenant"]:
            conversations = conversations.filter(tenant__slug=options["tenant"])
            operations = operations.filter(tenant__slug=options["tenant"])
        broken = checked = 0
        for conversation in conversations.iterator(chunk_size=500):
            checked += 1
            told = Operation.objects.filter(conversation=conversation).order_by("seq").iterator(chunk_size=500)
            if wrong := stream.first_broken_link(told):
                broken += 1
                self.stdout.write(
                    f"conversation {conversation.pk}: operation {wrong.seq} does not fit the one before it"
                )
        alone = operations.filter(conversation=None).order_by("pk")
        for operation in alone.iterator(chunk_size=500):
            if stream.first_broken_link([operation]):
                broken += 1
                self.stdout.write(f"operation {operation.pk}, of no conversation, is not as it was written")
        stamped = operations.filter(pos__isnull=False).values("tenant__slug")
        for row in stamped.annotate(n=Count("pos"), first=Min("pos"), last=Max("pos")):
            if row["last"] - row["first"] + 1 != row["n"]:
                broken += 1
                self.stdout.write(f"tenant {row['tenant__slug']}: positions {row['first']} to {row['last']} have gaps")
        self.stdout.write(f"{checked} conversations checked, {broken} broken.")
        if broken:
            sys.exit(1)
