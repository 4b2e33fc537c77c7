"""A bargaining bot: python bargain_bot.py. One loop serves all of its customers, and ends for nothing that passes."""

import os
import re
import sys
import time

import httpx

PRICE, LOWEST = 40, 25
PASSING = (httpx.HTTPError, ValueError, KeyError, TypeError)  # no connection, 5xx, 429; half an answer
api = httpx.Client(
    base_url=os.environ["TANDEM_URL"] + "/api/v1",
    headers={"Authorization": "Bearer " + os.environ["TANDEM_KEY"]},
    timeout=30,
)


def call(method: str, path: str, body: dict | None = None, **query: str) -> dict | None:
    """The answer; None where the state forbids it (409), it is not ours any more (404), or the cursor is too old (410)."""
    answer = api.request(method, path, json=body, params=query or None)
    return None if answer.status_code in (404, 409, 410) else answer.raise_for_status().json()


def begin() -> tuple[str, set[str]]:
    """First the cursor of now, then the state: nothing falls between. So it goes on after a restart, and keeps no file."""
    cursor, todo, page = call("GET", "/events")["cursor"], set(), call("GET", "/sessions", status="ACTIVE")
    while page:
        todo |= {session["conversation_id"] for session in page["results"]}
        page = call("GET", page["next"]) if page["next"] else None
    return cursor, todo


def words_for(offer: int | None, *, is_agreed: bool) -> str:
    if is_agreed:
        return "Thank you."
    if offer is None:
        return f"It is {PRICE}. Your offer?"
    return f"Done: {offer}." if offer >= LOWEST else f"{LOWEST} is my last word."


def has_agreed(session: str, message: dict) -> bool:
    """By us, in this piece of work, before we were killed perhaps."""
    return (message["sender_type"], message["session_id"]) == ("bot", session) and "Done" in message["content"]


def serve(conversation: str) -> None:
    """Say what the customer is still owed. An answer's id is made of the message's, so that none is said twice."""
    now = call("GET", f"/conversations/{conversation}")
    session = now and now["controller"] == "bot" and now["live_session_id"]
    truth = session and call("POST", f"/sessions/{session}/recover", {"limit": 1})
    if not truth or truth["state"] != "yours":
        return  # somebody else's turn
    thread = call("GET", f"/conversations/{conversation}/messages", limit="200")["results"]
    is_agreed = any(has_agreed(session, message) for message in thread)
    for message in truth["unanswered"]:  # neither history nor what a person has answered, and by when it came
        number = re.search(r"\d{1,6}", message["content"])
        offer = int(number[0]) if number else None
        words = words_for(offer, is_agreed=is_agreed)
        reply = {"conversation_id": conversation, "message_id": "re-" + message["id"], "content": words}
        if not call("POST", "/messages", reply | {"epoch": truth["epoch"]}):
            return  # the turn has moved; an event tells when it is ours again
        is_agreed = is_agreed or (offer is not None and offer >= LOWEST)
    if is_agreed:
        call("POST", f"/sessions/{session}/complete", {"outcome": "success"})


def pause(error: Exception, tries: int) -> float:
    """Seconds until the same is tried again: as many as Tandem says, else more from time to time."""
    answer = getattr(error, "response", None)
    if answer is not None and answer.status_code == 401:
        sys.exit("This key is not valid any more.")
    print("tries again:", error, file=sys.stderr, flush=True)
    told = answer.headers.get("Retry-After", "") if answer is not None else ""
    return float(told) if told.isdigit() else min(2**tries / 4, 5)


def main() -> None:
    cursor, todo, tries = "", set(), 0
    while True:
        failed = None
        try:
            if not cursor:
                cursor, todo = begin()
            page = call("GET", "/events", after=cursor, types="message.created,session.*")
            todo |= {event["conversation_id"] for event in page["events"]} if page else set()
            cursor = page["cursor"] if page else ""
        except PASSING as error:
            failed = error
        for conversation in sorted(todo):  # each by itself: what fails is tried again, and stops no other
            try:
                serve(conversation)
                todo.discard(conversation)
            except PASSING as error:
                failed = error
        tries = tries + 1 if failed else 0
        time.sleep(pause(failed, tries) if failed else 0.5)


if __name__ == "__main__":
    main()
