"""Many messages at once, as JSON or NDJSON: stored while the sender waits, or after the response."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import batched
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.api.idempotency import Answer
from agents_app.api.viewsets import Endpoints, describes, number, read_endpoint, respond
from agents_app.scopes import Scope
from config import limits
from config.api import Id, RequestSerializer, TooLarge
from config.compiled_answers import Compiled
from messaging_app import incoming
from messaging_app.batch import BatchRow as Line
from messaging_app.batch import Rejected
from messaging_app.row_reader import rows_of_lines, rows_of_values
from sessions_app.actions import import_queue
from sessions_app.actions.batch_rows import Report
from sessions_app.api.requests import BatchRow
from sessions_app.errors import NotFound
from sessions_app.models import Batch

type BatchLine = Line | Rejected | None

_PIECE = limits.PIECE
_IN_MEMORY = 2_000_000
_ROWS_AT_ONCE = 500
"""Rows that are written, hashed and counted in one go."""


@dataclass(frozen=True, slots=True)
class Received:
    """A batch as NDJSON in a temporary file, which closing deletes. `size` is in bytes, `sha256` in hex."""

    file: IO[bytes]
    size: int
    lines: int
    sha256: str

    def rows(self) -> list[BatchLine]:
        return list(rows_of_lines(self.file))

    def digest(self) -> str:
        return self.sha256

    def close(self) -> None:
        self.file.close()


@dataclass(frozen=True, slots=True)
class ReceivedValues:
    """A small batch that came as JSON, which is read already. Its digest is that of the same batch as NDJSON."""

    values: list[Any]

    @property
    def lines(self) -> int:
        return len(self.values)

    def rows(self) -> list[BatchLine]:
        return list(rows_of_values(self.values))

    def digest(self) -> str:
        return sha256(b"".join(map(incoming.dump_line, self.values))).hexdigest()

    def close(self) -> None:
        """Nothing is open."""


def received(pieces: Iterable[bytes]) -> Received:
    """Write a body to a temporary file, which the caller closes. Raises `TooLarge` beyond BATCH_MAX_BYTES."""
    file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 – the endpoint closes it
    digest, size, lines, last = sha256(), 0, 0, b"\n"
    for piece in pieces:
        size += len(piece)
        if size > settings.BATCH_MAX_BYTES:
            file.close()
            raise TooLarge(f"A batch has at most {settings.BATCH_MAX_BYTES:,} bytes.")
        file.write(piece)
        digest.update(piece)
        lines += piece.count(b"\n")
        last = piece
    file.seek(0)
    return Received(file, size, lines + (not last.endswith(b"\n")), digest.hexdigest())


class Lines(BaseParser):
    """NDJSON, one message a line; never as a whole in memory."""

    media_type = "application/x-ndjson"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return received(iter(partial(stream.read, _PIECE), b""))


class Rows(BaseParser):
    """JSON with the messages under `rows`."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read(settings.BATCH_MAX_BYTES + 1)
        if len(body) > settings.BATCH_MAX_BYTES:
            raise TooLarge(f"A batch has at most {settings.BATCH_MAX_BYTES:,} bytes.")
        try:
            sent = incoming.load_json(body)
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from None
        if not (isinstance(sent, dict) and list(sent) == ["rows"] and isinstance(sent["rows"], list)):
            raise ValidationError({"rows": ["Send the messages as a list under `rows`, and nothing else."]})
        values = sent["rows"]
        if len(values) <= import_queue.SMALL:
            return ReceivedValues(values)
        return received(b"".join(map(incoming.dump_line, part)) for part in batched(values, _ROWS_AT_ONCE))


class BatchRequest(RequestSerializer):
    rows = BatchRow(many=True)


class RejectionResponse(serializers.Serializer[dict[str, Any]]):
    line = serializers.IntegerField(help_text="From 1; in JSON the place in `rows`.")
    code = serializers.CharField(
        help_text="`malformed`, `forbidden`, `stale_epoch` or `failed`: not stored. `message_id_taken`: its id names another"
        " message, so it counts as duplicate and is not stored either."
    )
    reason = serializers.CharField(help_text="What is wrong with the row, for people; may change.")


class ResultResponse(serializers.Serializer[dict[str, Any]]):
    """What is stored so far; at the end, what the batch did."""

    lines = serializers.IntegerField(help_text="Without blank ones.")
    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField(
        help_text="Known by their message_id, or twice in the batch. Those that were no repeats are among `rejections`."
    )
    rejected = serializers.IntegerField()
    sessions_created = serializers.IntegerField()
    sessions_extended = serializers.IntegerField()
    sessions_joined = serializers.IntegerField(help_text="Of before, that a late message joined to another.")
    transfers_raised = serializers.IntegerField()
    rejections = RejectionResponse(many=True, help_text=f"The first {import_queue.SHOWN}.")


class BatchResponse(Compiled, serializers.ModelSerializer[Batch]):
    id = Id(allow_null=True, help_text="Null for a batch that was stored at once: there is nothing to ask again.")
    progress = serializers.SerializerMethodField(help_text="From 0 to 1, by bytes.")
    result = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields = ("id", "state", "progress", "error", "result", "created_at", "started_at", "ended_at")
        read_only_fields = fields

    def get_progress(self, batch: Batch) -> float:
        return 1.0 if batch.state == Batch.State.DONE else round(batch.position / (batch.size or 1), 4)

    @extend_schema_field(ResultResponse)
    def get_result(self, batch: Batch) -> dict[str, Any]:
        counts: dict[str, int] = Report().counts() | batch.counts
        return counts | {"rejections": batch.rejections}


class BatchEndpoints(mixins.RetrieveModelMixin, Endpoints):
    queryset = Batch.objects.none()
    serializer_class = BatchResponse
    parser_classes = (Rows, Lines)

    def get_queryset(self) -> QuerySet[Any]:
        return Batch.objects.filter(tenant_id=self.actor.tenant_id, client_id=self.actor.pk)

    def get_object(self) -> Batch:
        import_queue.may_bring(self.actor)
        batch = self.get_queryset().filter(pk=number(self.kwargs["pk"])).first()
        if batch is None:
            raise NotFound("There is no such batch.")
        own: Batch = batch
        return own

    @read_endpoint(BatchResponse, scope=Scope.MESSAGES)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """How far a batch is, and what it did; only for whoever sent it."""
        return super().retrieve(request, *args, **kwargs)

    @describes(
        scope=Scope.MESSAGES,
        called="bring",
        writes=True,
        request={"application/json": BatchRequest, "application/x-ndjson": {"type": "string"}},
        responses={200: BatchResponse, 202: BatchResponse},
    )
    def create(self, request: Request) -> Response:
        """Bring in many messages. Up to 1,000 lines are stored at once; more are taken on, and `Location` says how it goes.

        A bad row is reported with its line and stops nothing; what is known by its message_id is not stored again:
        docs/ingest.md. As `application/x-ndjson` a batch is one message a line.
        """
        import_queue.may_bring(self.actor)
        sent: Any = request.data
        if not isinstance(sent, Received | ReceivedValues):
            raise ValidationError({"body": ["Send messages, and their Content-Length."]})
        with closing(sent):
            is_small = sent.lines <= import_queue.SMALL
            answer = respond(request, partial(self._take, sent), digest=sent.digest, non_atomic=is_small)
        if answer.status_code == 202:
            answer.headers["Location"] = reverse("api:batch-detail", args=[answer.data["id"]])
        return answer

    def _take(self, sent: Received | ReceivedValues) -> Answer:
        if isinstance(sent, ReceivedValues) or sent.lines <= import_queue.SMALL:
            return 200, BatchResponse(import_queue.store_at_once(actor=self.actor, rows=sent.rows())).data
        return 202, BatchResponse(import_queue.keep(actor=self.actor, file=sent.file, size=sent.size)).data
