"""A guided flow that asks a customer for order number and size until both are known: size_flow.py SHOP ACCOUNT TRIGGER"""

import os
import re
import sys
import time
from collections.abc import Iterator

import httpx

WANTED = {"order number": r"\b\d{4,}\b", "size": r"\b(?:XS|S|M|L|XL)\b"}
api = httpx.Client(
    base_url=os.environ["TANDEM_URL"] + "/api/v1",
    headers={"Authorization": "Bearer " + os.environ["TANDEM_KEY"]},
    timeout=30,
)


def call(method: str, path: str, body: dict | None = None, key: str = "", **query: str) -> dict | None:
    """What passes (no connection, half an answer, 429, 5xx) is tried again. None when somebody else has moved on: read anew."""
    pause = 0.25
    while True:
        try:
            answer = api.request(method, path, json=body, params=query, headers={"Idempotency-Key": key} if key else {})
            if answer.status_code != 429 and answer.status_code < 500:
                return None if answer.status_code == 409 else answer.raise_for_status().json()
            told = answer.headers.get("Retry-After", "")
        except (httpx.TransportError, ValueError):
            told = ""
        time.sleep(float(told) if told.isdigit() else pause)
        pause = min(pause * 2, 5)


def ask(missing: list[str]) -> str:
    question = f"Please tell us your {' and '.join(missing)}."
    print("asks:", question, flush=True)  # here your own channel takes it to the customer
    return question


def open_session(place: dict[str, str]) -> dict:
    """Ours, if we have one open there; else a new one: it idles out long before the customer's time to answer is over."""
    session = call("POST", "/sessions", place | {"task": "follow_up"})
    return session or sys.exit("Somebody else has the conversation now; the flow has to wait.")


def begin(conversation: str, trigger: str) -> tuple[dict, dict]:
    """The first flow of this trigger, and the one that goes on: another, where those before it failed or ran out."""
    first, number = None, 0
    while True:
        number += 1
        named = {"trigger_id": f"{trigger}-{number}", "conversation_id": conversation}
        flow = call("POST", "/flows", named | {"question": ask(list(WANTED)), "missing_info": list(WANTED)})
        if flow is None:
            sys.exit("Somebody else has the conversation now; the flow has to wait.")
        first = first or flow
        if flow["status"] not in ("failed", "expired"):
            return first, flow


def told_since(session: str, seq: int) -> Iterator[tuple[dict, str]]:
    """What happened behind an operation, in the order in which it came, whatever the senders' clocks say; with the words."""
    has_more = True
    while has_more:
        page = call("POST", f"/sessions/{session}/recover", {"after_seq": seq})
        said = {m["seq"]: m["content"] for m in page["messages"] if m["sender_type"] == "customer"}
        yield from ((operation, said.get(operation["seq"], "")) for operation in page["missed"])
        has_more, seq = page["has_more"], page["next_after_seq"]


def asked_at(session: str, flow: dict) -> int:
    """The operation with which we began to ask."""
    opened = (o for o, _ in told_since(session, 0) if o["type"] == "flow.opened")
    return next(o["seq"] for o in opened if o["data"]["flow_id"] == flow["id"])


def known(session: str, since: int) -> dict[str, str]:
    """What the customer has told us: the thread is the truth, the flow has the right to the answer."""
    said = " ".join(words for _, words in told_since(session, since) if words)
    found = {name: re.search(pattern, said, re.IGNORECASE) for name, pattern in WANTED.items()}
    return {name: match[0].upper() for name, match in found.items() if match}


def main(shop: str, account: str, trigger: str) -> None:
    cursor = call("GET", "/events")["cursor"]
    place = {"shop_id": shop, "account_id": account}
    session = open_session(place)
    conversation = session["conversation_id"]
    first, flow = begin(conversation, trigger)
    since = asked_at(session["session_id"], first)
    while flow["status"] in ("waiting_user_reply", "rerunning"):
        facts = known(session["session_id"], since)
        missing = [name for name in WANTED if name not in facts]
        if flow["status"] == "waiting_user_reply" and missing:
            page = call("GET", "/events", after=cursor, conversation=conversation, types="flow.*")
            cursor = page["cursor"]
            time.sleep(0 if page["events"] else 0.5)
            change = {}
        elif flow["status"] == "waiting_user_reply":
            change = {"to": "rerunning"}
        elif missing:  # under the lease, as is whatever takes its time here
            change = {"to": "waiting_user_reply", "pending_question": ask(missing), "missing_info": missing}
        else:
            change = {"to": "ready_preview", "last_candidate": " ".join(facts.values())}
        path = f"/flows/{flow['id']}"
        flow = (change and call("POST", path + "/move", change | {"version": flow["version"]})) or call("GET", path)
    if flow["status"] not in ("ready_preview", "applied"):
        sys.exit(f"The flow is {flow['status']}. {flow['failed_reason']}")
    words = "Noted: order {}.".format(flow["last_candidate"].replace(" ", " in size "))
    session = open_session(place)
    if flow["status"] == "ready_preview":  # it blocks no more: the turn is the bot's, and `recover` tells the epoch
        truth = call("POST", f"/sessions/{session['session_id']}/recover", {"limit": 1})
        turn = {"conversation_id": conversation, "epoch": truth["epoch"], "message_id": f"flow-{flow['id']}"}
        if call("POST", "/messages", turn | {"content": words}) is None:
            sys.exit(f"{truth['owner_name']} has the conversation now; the preview waits.")
        call("POST", f"/flows/{flow['id']}/move", {"to": "applied", "version": flow["version"]})
    print("said:", words, flush=True)
    call("POST", f"/sessions/{session['session_id']}/complete", {"outcome": "success"})


if __name__ == "__main__":
    main(*sys.argv[1:])
