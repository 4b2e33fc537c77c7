"""Metrics for Prometheus, counted in the database at each scrape, so that every process gives the same figures."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Max, Min
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agents_app import loops
from config import clock
from messaging_app.models import Controller, Conversation, Operation, StreamHead
from sessions_app.models import ChatSession, Transfer
from sessions_app.promises import unanswered
from sessions_app.states import OPEN, TransferStatus


def _by_loop(
    kind: type[CounterMetricFamily | GaugeMetricFamily], name: str, meaning: str, figures: dict[str, int]
) -> Metric:
    family = kind(name, meaning, labels=["loop"])
    for loop, count in figures.items():
        family.add_metric([loop], count)
    return family


class MetricsCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        sessions = GaugeMetricFamily("tandem_sessions_open", "Open sessions.", labels=["tenant", "status", "owner"])
        rows = ChatSession.objects.filter(status__in=sorted(OPEN))
        for slug, status, owner, count in rows.values_list("tenant__slug", "status", "owner_kind").annotate(
            Count("pk")
        ):
            sessions.add_metric([slug, status, owner or "nobody"], count)
        yield sessions

        queue = Conversation.objects.filter(controller=Controller.QUEUE).values("tenant__slug")
        waiting = GaugeMetricFamily("tandem_queue_length", "Conversations that wait for a human.", labels=["tenant"])
        longest = GaugeMetricFamily("tandem_queue_wait_seconds", "The longest wait in the queue.", labels=["tenant"])
        now = clock.now()
        for row in queue.annotate(count=Count("pk"), since=Min("waiting_since")):
            waiting.add_metric([row["tenant__slug"]], row["count"])
            longest.add_metric([row["tenant__slug"]], (now - row["since"]).total_seconds() if row["since"] else 0)
        yield waiting
        yield longest

        without_answer = GaugeMetricFamily(
            "tandem_unanswered", "Conversations whose customer waits for nobody's answer.", labels=["tenant"]
        )
        conversations = Conversation.objects.filter(unanswered.nobody_can_answer_q(), unanswered_since__isnull=False)
        for slug, count in conversations.values_list("tenant__slug").annotate(Count("pk")):
            without_answer.add_metric([slug], count)
        yield without_answer

        pending = Transfer.objects.filter(status=TransferStatus.PENDING).count()
        yield GaugeMetricFamily("tandem_transfers_pending", "Transfers that wait for an answer.", value=pending)
        unstamped = Operation.objects.filter(pos__isnull=True).count()
        yield GaugeMetricFamily(
            "tandem_stream_unstamped", "Operations the relay has not numbered yet.", value=unstamped
        )
        yield _by_loop(
            CounterMetricFamily, "tandem_loop_failures", "Items that failed in a loop over many.", loops.failures()
        )
        yield _by_loop(GaugeMetricFamily, "tandem_loop_put_off", "Items that failed and are put off.", loops.put_off())
        newest = StreamHead.objects.aggregate(newest=Max("pos"))["newest"] or 0
        yield GaugeMetricFamily("tandem_stream_position", "The furthest position of any tenant's stream.", value=newest)
