// The desk: wires the list, the thread and the socket together.

import "../list/bulk-actions.js";
import "../desk/command-bar.js";
import { outbox, reconnected } from "../conversation/composer.js";
import { openConnection } from "../desk/connection-status.js";
import { hurry, tell } from "../core/http.js";
import "../desk/shortcut-help.js";
import * as list from "../list/conversation-list.js";
import { follow } from "../core/socket.js";
import "../desk/alerts.js";
import "../desk/offers.js";
import { openPresence } from "../conversation/presence.js";
import * as thread from "../conversation/thread.js";
import { tellTimes } from "../core/times.js";
import { toast } from "../core/toast.js";

const words = document.body.dataset;

function catchUp() {
  hurry();
  list.refresh();
  thread.refresh();
}

const socket = follow("/ws/desk/", {
  state: (...now) => connection.told(...now),
  up() {
    catchUp();
    reconnected();
    presence.again();
  },
  hint({ conversation, seq, sign }) {
    if (sign) {
      presence.told(sign);
      return;
    }
    list.refresh();
    const open = document.getElementById("thread")?.dataset;
    if (open?.conversation === String(conversation) && seq > Number(open.seq)) thread.refresh();
  },
  poll() {
    tell(words.here);
    catchUp();
  },
  refused: () => location.reload(),
});
const presence = openPresence(socket.say);
const connection = openConnection(() => {
  socket.reconnect();
  catchUp();
  reconnected();
}, outbox.waits);

document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "pane") return;
  thread.openThread();
  presence.look();
  document.getElementById("content")?.focus({ preventScroll: true });
});
for (const failure of ["htmx:sendError", "htmx:responseError"]) {
  document.body.addEventListener(failure, () => toast(words.wordUnreachable));
}
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && catchUp());

thread.openThread();
tellTimes();
