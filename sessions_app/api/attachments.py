"""Files that go with messages: upload, description, download, removal before they are sent."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import mixins
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from agents_app.actors import Actor
from agents_app.api.idempotency import Answer
from agents_app.api.viewsets import Endpoints, command, number, read_endpoint, respond
from agents_app.scopes import Scope
from config.api import AsItIs
from config.uploads import Received, the_file
from messaging_app.attachments.content import PREVIEW_TYPE
from messaging_app.models.attachments import Attachment
from sessions_app.actions import attachments
from sessions_app.api.requests import AttachmentRequest
from sessions_app.api.responses import AttachmentResponse
from sessions_app.queries import attachments as downloads
from sessions_app.rights import visible

FIELDS = frozenset(AttachmentRequest().fields)


def attached(view: Endpoints, request: Request, conversation_id: int) -> Response:
    """Store the file of a request, once for each Idempotency-Key, outside of transactions. Raises `ValidationError`."""
    sent: Any = request.data
    if unknown := set(sent) - FIELDS:
        raise ValidationError({name: ["Unknown; this takes file, client_id."] for name in sorted(unknown)})
    with the_file(request.FILES) as file:
        client_id = str(sent.get("client_id", ""))
        digest = sha256(f"{file.digest}\n{file.name}\n{client_id}".encode()).hexdigest()
        work = partial(_take, view, file, conversation_id, client_id)
        return respond(request, work, digest=digest, non_atomic=True)


def _take(view: Endpoints, file: Received, conversation_id: int, client_id: str) -> Answer:
    row = attachments.upload(
        actor=view.actor,
        conversation_id=conversation_id,
        file=file,
        size=file.size or 0,
        sha256=file.digest,
        name=file.name or "",
        client_id=client_id,
    )
    return 201, AttachmentResponse(row, context=view.get_serializer_context()).data


_FILE: dict[Any, Any] = {
    (200, "*/*"): OpenApiResponse(OpenApiTypes.BINARY, "The file, as what it is."),
    302: OpenApiResponse(description="Where the store hands it out, for a minute."),
    304: OpenApiResponse(description="As `If-None-Match` has it."),
}
_PREVIEW: dict[Any, Any] = {
    (200, PREVIEW_TYPE): OpenApiResponse(OpenApiTypes.BINARY, "The picture."),
    304: _FILE[304],
}


class AttachmentEndpoints(mixins.RetrieveModelMixin, Endpoints):
    """A file that came with a message, or will."""

    queryset = Attachment.objects.none()
    serializer_class = AttachmentResponse

    def get_queryset(self) -> QuerySet[Any]:
        return visible.attachments(self.actor)

    def get_object(self) -> Attachment:
        return visible.attachment(self.actor, number(self.kwargs["pk"]))

    @read_endpoint(AttachmentResponse, scope=Scope.READ)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What a file is: for whoever may read its message, and for who put it up."""
        return super().retrieve(request, *args, **kwargs)

    @read_endpoint(_FILE, scope=Scope.READ, detail=True, filters=False)
    def content(self, request: Request, pk: str) -> HttpResponseBase:
        """The file. From an S3 store by a redirect to an address that lasts a minute; send no credential along."""
        return downloads.content(request._request, self.get_object())

    content.kwargs["content_negotiation_class"] = AsItIs

    @read_endpoint(_PREVIEW, scope=Scope.READ, detail=True, filters=False)
    def preview(self, request: Request, pk: str) -> HttpResponseBase:
        """A small copy of a picture, at most 480 pixels wide and high, as WebP and without the camera's notes."""
        return downloads.preview(request._request, self.get_object())

    preview.kwargs["content_negotiation_class"] = AsItIs

    @command(answer=None, status=204, scope=Scope.MESSAGES, called="discard")
    def destroy(self, actor: Actor, pk: int) -> None:
        """Take back what one has put up and not sent."""
        attachments.discard(actor=actor, attachment_id=pk)
