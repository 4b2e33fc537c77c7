// The customer's side of the try-it page.

import { openChat } from "../chat/chat.js";

const { chat, field, form, listen, refresh } = openChat("/ws/try-it/", { applied });

// There is something to listen to only after the first message has created the conversation.
function applied(fresh) {
  chat.dataset.conversation = fresh.dataset.conversation;
  if (chat.dataset.conversation) listen();
}

form.addEventListener("click", (event) => {
  const suggestion = event.target.closest(".suggestion");
  if (!suggestion) return;
  field.value = suggestion.dataset.say;
  form.requestSubmit();
});

if (chat.dataset.conversation) listen();
field.focus();

// The place in the queue changes with other conversations, of which this page gets no hints.
setInterval(() => document.getElementById("status").dataset.controller === "queue" && refresh(), 3000);
