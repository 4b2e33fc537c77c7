"""Every code a problem may carry: what it means, and what the caller can do. The page and docs/api/errors.md are made of it.

The codes themselves are those of the error classes; a test finds one that is missing here.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    code: str
    status: int
    meaning: str
    remedy: str
    legacy: str = ""


CATALOGUE = (
    Code("malformed", 400, "The body, a parameter or a header is not of the documented form.", "`errors` says what is wrong, field by field. Mend it; sending the same again changes nothing."),
    Code("address_refused", 400, "Nothing can be sent to this address.", "Name one that anybody can reach, by https and by name; `detail` says what is wrong with it."),
    Code("unknown_host", 400, "The host name of the request is none of this installation's.", "Use the address that you were given; whoever runs Tandem lists its names in ALLOWED_HOSTS."),
    Code("file_empty", 400, "The file has no content.", "Send it again; nothing was kept."),
    Code("not_authenticated", 401, "No credential was sent, or one that is not valid (any more).", "Send `Authorization: Bearer <key or token>`. A key that was replaced or switched off stays refused."),
    Code("forbidden", 403, "You are known, and may not do this.", "`detail` says who may; `scope` names what the credential lacks, `field` what is not yours to set or to filter by and `roles` whose it is; `owner_name` who serves.", "3027"),
    Code("not_found", 404, "It does not exist, or is not yours to see: the two are answered alike.", "Check the id and the key's tenant.", "3003"),
    Code("attachment_not_found", 404, "There is no attachment of yours under this id that could be sent here.", "Name what the same key, token or login has put up in this conversation. What was not sent for a day is gone: put it up again."),
    Code("method_not_allowed", 405, "The address exists and does not take this method.", "See `Allow` and the OpenAPI document."),
    Code("not_acceptable", 406, "The answer cannot be given in the form that `Accept` asks for.", "Ask for `application/json`."),
    Code("too_slow", 408, "The request came too slowly.", "Send it again over a better line, or in smaller parts. The connection was closed."),
    Code("length_required", 411, "The body came in chunks, and this server (WSGI) takes none.", "Send it with its Content-Length."),
    Code("address_too_long", 414, "Path and query are longer than what is read.", "Send what you are looking for in fewer words."),
    Code("headers_too_large", 431, "The headers are longer than what is read.", "Send fewer of them; cookies of other sites, for example, are not needed."),
    Code("too_large", 413, "The body is larger than this address takes.", "Send less at once; `detail` says how much. Many messages go to `batches`."),
    Code("file_too_large", 413, "The file is larger than what is taken here.", "`most` is the number of bytes. Send a smaller one, or a link to it."),
    Code("too_many_files", 413, "The conversation's or the tenant's files have reached what the installation keeps.", "`bound` names the setting that is reached, `most` what it is. Remove what was never sent, or have it raised."),
    Code("unsupported_media_type", 415, "The body is of a type that this address does not read.", "Send `Content-Type: application/json`."),
    Code("file_type_refused", 415, "Files of this type are not taken here. The type is found by the content, whatever the file calls itself.", "`media_type` is what was found, empty where nothing was; `allowed` lists what is taken."),
    Code("conflict", 409, "The present state forbids that.", "Read the conversation again and decide anew.", "3012"),
    Code("illegal_transition", 409, "A session in this status cannot go there.", "`session_status` is its status, `outcome` how it ended; docs/states.md has the table."),
    Code("live_session_exists", 409, "You asked to fail rather than wait, and another session is live.", "`live_session_id`, `owner_kind` and `may_end_at` say what is in the way. Wait, or open with `on_conflict: wait`."),
    Code("human_serves", 409, "Another person is serving this conversation (rule C7).", "Grab it, ask for a transfer, or be invited; `owner_name` says by whom."),
    Code("already_taken", 409, "Somebody else was faster.", "`owner_name` has it now."),
    Code("transfer_ended", 409, "This transfer has been answered, withdrawn or has timed out.", "Read the conversation; a new one may be waiting."),
    Code("no_way_back", 409, "The request cannot be withdrawn or declined: it has no bot to go back to that is there, or the customer was told that a human will answer.", "Accept it, address it to somebody, or end its session. What waits on is asked again by itself."),
    Code("stale_epoch", 409, "The turn has moved since you looked. Nothing was stored.", "Throw the answer away, read the conversation, and speak only if the controller is yours; `epoch` is the new one."),
    Code("no_capacity", 409, "The agent has as many live sessions as the agent takes on.", "End or hand over one; a supervisor may override, on record.", "3005"),
    Code("not_available", 409, "This agent is not available.", "Choose another; GET agents tells who is reachable."),
    Code("gets_nothing_new", 409, "The agent keeps what they serve and gets nothing new (`is_drained`).", "Choose another, or let a supervisor undrain the agent; a supervisor's `override` counts, on record."),
    Code("no_bot", 409, "No bot can take this conversation back.", "Resolve it, or send `force`."),
    Code("not_serving", 409, "Nobody is serving this conversation.", "Accept what waits, or take it over from its bot.", "3011, 3013, 3002"),
    Code("not_queued", 409, "This conversation is not waiting for a human.", "Read it again."),
    Code("flow_moved", 409, "The flow has changed since you read it.", "`version` and `session_status` are the present ones; read it and decide anew."),
    Code("owner_cannot_leave", 409, "The owner cannot leave.", "Hand over, release or resolve."),
    Code("already_in", 409, "This person is in the conversation already.", "Nothing is left to do."),
    Code("attachment_sent", 409, "This attachment has been sent already; a file goes with one message.", "Put the file up again to send it again."),
    Code("message_id_taken", 409, "This message_id names another message: of another sender or conversation, or with other words. Nothing was stored.", "An id is one message's. Sent again, it is sent as it was; what was edited has no way in yet."),
    Code("client_id_taken", 409, "You have used this `client_id` here for another file.", "Use a new one for a new file."),
    Code("too_many_unsent", 409, "Too many files of yours wait in this conversation to be sent.", "Send them, or take them back with DELETE; `most` is how many may wait."),
    Code("name_taken", 409, "There is one with this name already, and names tell them apart.", "Choose another name, or change the one that has it."),
    Code("label_in_use", 409, "`conversations` of them have this label.", "Take it off them, or out of use with `is_enabled: false`."),
    Code("no_directory", 409, "This installation has no directory of departments.", "Invite people by themselves, or have `DIRECTORY` set."),
    Code("cursor_gone", 410, "Events are kept for seven days; this cursor is older, or none of this installation's.", "Read the present state, then go on from `cursor`."),
    Code("unprocessable", 422, "This Idempotency-Key was used for another request.", "Use a new key for a new request."),
    Code("department_too_large", 422, "The department has more members than are invited at once.", "Invite the ones who are needed."),
    Code("file_damaged", 422, "The file begins like one of its type, and cannot be read to the end.", "Open and save it anew, or send another."),
    Code("image_too_large", 422, "The picture has more pixels than what is taken here.", "`most` is the number of pixels; make it smaller."),
    Code("throttled", 429, "Too many requests with one credential.", "Wait as long as `Retry-After` says; `RateLimit-Remaining` warns before."),
    Code("too_many_connections", 429, "As many streams and sockets are open by this credential as it may have at once (`STREAMS_PER_CREDENTIAL`).", "`most` is how many. Close one: the open ones stay. One stream has all events that a credential may read."),
    Code("directory_failed", 502, "The directory of departments did not answer, or with something that is no answer. Nobody was invited.", "Send the same again later, or invite people by themselves; `detail` says what is wrong."),
    Code("internal_error", 500, "A mistake of ours, which has been written down.", "Tell whoever runs Tandem the `error_id`; the log has it. Sent again with the same ids, nothing is done twice."),
    Code("busy", 503, "The database gave up after every retry, or no connection to it was to be had. What was sent is stored as a whole or not at all.", "Send the same again, with the same ids, after `Retry-After`."),
    Code("storage_failed", 503, "A disk or the store of files is full or does not answer, or has lost this file. Nothing was kept.", "Send the same again, with the same ids, after `Retry-After`."),
)  # fmt: skip
