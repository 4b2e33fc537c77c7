#!/usr/bin/env bash
# A bargaining bot's turns with curl, one customer's conversation from opening to end: bargain_bot.sh SHOP ACCOUNT
set -euo pipefail

call() { # METHOD PATH [BODY [IDEMPOTENCY_KEY]]: prints the answer
    curl --silent --show-error --fail-with-body --request "$1" "$TANDEM_URL/api/v1$2" \
        --header "Authorization: Bearer $TANDEM_KEY" \
        ${3:+--header "Content-Type: application/json" --data "$3"} \
        ${4:+--header "Idempotency-Key: $4"}
}
field() { # NAME: of the object on standard input
    python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

cursor=$(call GET /events | field cursor)

# The bot's session. The epoch is the turn: whatever is said is said in it.
opened=$(call POST /sessions "{\"shop_id\": \"$1\", \"account_id\": \"$2\", \"task\": \"negotiation\"}" "open-$cursor")
conversation=$(field conversation_id <<<"$opened")
session=$(field session_id <<<"$opened")

# The customer writes; usually a program that connects the shop brings this in.
heard=$(call POST /inbound "{\"conversation_id\": \"$conversation\", \"content\": \"Is 20 possible?\"}" "heard-$cursor")
echo "It is the $(field controller <<<"$heard")'s turn."

# An answer names the turn it was thought in. Had a human stepped in, it would be refused with 409 stale_epoch.
epoch=$(field epoch <<<"$heard")
words="{\"conversation_id\": \"$conversation\", \"content\": \"25 is my last word.\", \"epoch\": $epoch}"
call POST /messages "$words" "say-$cursor" >/dev/null
call POST /messages "$words" "say-$cursor" >/dev/null # sent again, said once

# What is beyond the bot goes to a human; the same words are out of turn from here on.
call POST "/sessions/$session/complete" '{"outcome": "needs_human", "reason": "wants 20"}' "help-$cursor" >/dev/null
call POST /messages "$words" "late-$cursor" | field code || true

# What happened since.
call GET "/events?after=$cursor&conversation=$conversation" |
    python3 -c 'import json, sys; [print(event["type"]) for event in json.load(sys.stdin)["events"]]'
