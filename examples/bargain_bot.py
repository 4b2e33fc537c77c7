"""A bargaining bot for one customer: python bargain_bot.py SHOP ACCOUNT. It follows the events and answers its turns."""

import os
import re
import sys
import time

import httpx

PRICE, LOWEST = 40, 25
OVER = ("session.completed", "session.cancelled", "session.timed_out")
api = httpx.Client(
    base_url=os.environ["TANDEM_URL"] + "/api/v1",
    headers={"Authorization": "Bearer " + os.environ["TANDEM_KEY"]},
)


def post(path: str, body: dict, key: str) -> dict | None:
    """Sent again when no answer came: the Idempotency-Key makes that safe. None when the turn has moved."""
    for wait in (0, 1, 2, 4, 8):
        time.sleep(wait)
        try:
            answer = api.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            continue
        if answer.status_code == 409:
            return None
        if answer.status_code not in (429, 503):
            return answer.raise_for_status().json()
    sys.exit("Tandem does not answer.")


def reply(session: dict, event: dict) -> None:
    offer = re.search(r"\d+", event["message"]["content"])
    agreed = offer is not None and int(offer[0]) >= LOWEST
    words = f"Done: {offer[0]}." if agreed else f"{LOWEST} is my last word." if offer else f"It is {PRICE}. Your offer?"
    turn = {"conversation_id": session["conversation_id"], "epoch": event["data"]["answer"]["epoch"]}
    said = post("/messages", turn | {"content": words, "message_id": "re-" + event["id"]}, "say-" + event["id"])
    if said and agreed:
        post(f"/sessions/{session['session_id']}/complete", {"outcome": "success"}, "deal-" + event["id"])


def main(shop: str, account: str) -> None:
    cursor = api.get("/events").raise_for_status().json()["cursor"]
    session = post("/sessions", {"shop_id": shop, "account_id": account, "task": "negotiation"}, f"open-{cursor}")
    while session:
        page = api.get("/events", params={"after": cursor, "conversation": session["conversation_id"]}).json()
        for event in page["events"]:
            if event["type"] in OVER and event["session_id"] == session["session_id"]:
                return
            is_asked = event["type"] == "message.created" and event["data"]["sender_type"] == "customer"
            if is_asked and event["data"]["answer"]["controller"] == "bot":
                reply(session, event)
        cursor = page["cursor"]
        time.sleep(0 if page["has_more"] else 0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
