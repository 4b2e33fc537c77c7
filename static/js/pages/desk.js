// The desk: wires the list, the thread and the socket together.

import "../list/bulk-actions.js";
import "../desk/command-bar.js";
import { outbox, reconnected } from "../conversation/composer.js";
import { openConnectionStatus } from "../desk/connection-status.js";
import { post } from "../core/http.js";
import { retryNow } from "../core/refresh-queue.js";
import "../desk/shortcut-help.js";
import * as list from "../list/conversation-list.js";
import { openSocket } from "../core/socket.js";
import "../desk/alerts.js";
import "../desk/offers.js";
import { openPresence } from "../conversation/presence.js";
import * as thread from "../conversation/thread.js";
import { renderTimes } from "../core/times.js";
import { toast } from "../core/toast.js";

const words = document.body.dataset;

function catchUp() {
  retryNow();
  list.refresh();
  thread.refresh();
}

const socket = openSocket("/ws/desk/", {
  state: (...now) => connection.update(...now),
  up() {
    catchUp();
    reconnected();
    presence.reconnected();
  },
  hint({ conversation, seq, sign }) {
    if (sign) {
      presence.receive(sign);
      return;
    }
    list.refresh();
    const open = document.getElementById("thread")?.dataset;
    if (open?.conversation === String(conversation) && seq > Number(open.seq)) thread.refresh();
  },
  poll() {
    post(words.here);
    catchUp();
  },
  refused: () => location.reload(),
});
const presence = openPresence(socket.send);
const connection = openConnectionStatus(() => {
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
renderTimes();
