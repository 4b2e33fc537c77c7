#!/usr/bin/env bash
# A bargaining bot's turns with curl, one customer's conversation from opening to end: bargain_bot.sh SHOP ACCOUNT
# TANDEM_KEY is the bot's, SHOP_KEY that of the program which brings in what customers say.
set -euo pipefail

call() { # METHOD PATH [BODY [IDEMPOTENCY_KEY]]: prints the answer; what passes is tried again
    curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused --request "$1" "$TANDEM_URL/api/v1$2" \
        --header "Authorization: Bearer ${key:-$TANDEM_KEY}" \
        ${3:+--header "Content-Type: application/json" --data "$3"} \
        ${4:+--header "Idempotency-Key: $4"}
}
field() { # NAME: of the object on standard input
    python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

cursor=$(call GET /events | field cursor)

# The bot's session. The epoch is the turn: whatever is said is said in it.
opened=$(call POST /sessions "{\"shop_id\": \"$1\", \"account_id\": \"$2\", \"task\": \"negotiation\"}")
conversation=$(field conversation_id <<<"$opened")
session=$(field session_id <<<"$opened")

# The customer writes; the program that connects the shop brings it in, under the id it has there.
inbound="{\"conversation_id\": \"$conversation\", \"content\": \"Is 20 possible?\", \"message_id\": \"in-$session\"}"
heard=$(key=$SHOP_KEY call POST /inbound "$inbound")
echo "It is the $(field controller <<<"$heard")'s turn."

# An answer names the turn it was thought in. Had a human stepped in, it would be refused with 409 stale_epoch.
# Keys and ids are made of the session's: another run, or another bot, never sends the same for something else.
epoch=$(field epoch <<<"$heard")
words="{\"conversation_id\": \"$conversation\", \"content\": \"25 is my last word.\", \"epoch\": $epoch}"
call POST /messages "$words" "say-$session" >/dev/null
call POST /messages "$words" "say-$session" >/dev/null # sent again, said once

# What is beyond the bot goes to a human; the same words are out of turn from here on.
call POST "/sessions/$session/complete" '{"outcome": "needs_human", "reason": "wants 20"}' "help-$session" >/dev/null
call POST /messages "$words" "late-$session" 2>/dev/null | field code || true # curl says on stderr that it was refused

# What happened since.
call GET "/events?after=$cursor&conversation=$conversation" |
    python3 -c 'import json, sys; [print(event["type"]) for event in json.load(sys.stdin)["events"]]'
