"""Response serializers: what the API answers about each thing, one module per noun. Ids are text, times are UTC."""

from sessions_app.api.responses.agents import AgentResponse, DepartureResponse, TeamResponse
from sessions_app.api.responses.attachments import AttachmentResponse
from sessions_app.api.responses.conversations import ConversationDetailResponse, ConversationResponse, QueueResponse
from sessions_app.api.responses.credentials import JoinedResponse, TokenResponse
from sessions_app.api.responses.flows import FlowResponse
from sessions_app.api.responses.labels import LabelResponse
from sessions_app.api.responses.messages import MessageResponse
from sessions_app.api.responses.operations import OperationResponse
from sessions_app.api.responses.outcomes import BulkResponse, DoneResponse, OutcomeResponse
from sessions_app.api.responses.owners import OwnerResponse
from sessions_app.api.responses.participants import (
    DepartmentResponse,
    DepartmentsResponse,
    InvitedResponse,
    ParticipantResponse,
)
from sessions_app.api.responses.sessions import (
    AvailabilityResponse,
    ClockResponse,
    RecoveryStateResponse,
    SessionResponse,
)
from sessions_app.api.responses.transfers import (
    CandidateResponse,
    DecisionResponse,
    DecisionsResponse,
    TransferResponse,
)

__all__ = [
    "AgentResponse",
    "AttachmentResponse",
    "AvailabilityResponse",
    "BulkResponse",
    "CandidateResponse",
    "ClockResponse",
    "ConversationDetailResponse",
    "ConversationResponse",
    "DecisionResponse",
    "DecisionsResponse",
    "DepartmentResponse",
    "DepartmentsResponse",
    "DepartureResponse",
    "DoneResponse",
    "FlowResponse",
    "InvitedResponse",
    "JoinedResponse",
    "LabelResponse",
    "MessageResponse",
    "OperationResponse",
    "OutcomeResponse",
    "OwnerResponse",
    "ParticipantResponse",
    "QueueResponse",
    "RecoveryStateResponse",
    "SessionResponse",
    "TeamResponse",
    "TokenResponse",
    "TransferResponse",
]
