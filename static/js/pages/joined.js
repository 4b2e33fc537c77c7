// The chat of somebody who joined by a link. It ends when the server says so, and then shows nothing any more.

import { openChat } from "../chat/chat.js";
import { fetchFragment } from "../core/http.js";
import { insert } from "../messages/message-list.js";

const { chat, field, form, items, listen, log } = openChat(document.getElementById("chat").dataset.socket, { over });

function over(news) {
  const ending = news.getElementById("over");
  form.remove();
  chat.querySelector(".chat-head").remove();
  log.replaceChildren(ending);
  ending.focus();
}

async function showEarlier(link) {
  const older = await fetchFragment(link.href);
  const fromEnd = log.scrollHeight - log.scrollTop;
  insert(items, older.querySelectorAll("#items > li"));
  const next = older.getElementById("earlier");
  if (next) link.replaceWith(next);
  else link.remove();
  log.scrollTop = log.scrollHeight - fromEnd;
}

log.addEventListener("click", (event) => {
  const earlier = event.target.closest("#earlier");
  if (!earlier || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  showEarlier(earlier).catch(() => location.assign(earlier.href));
});

listen();
if (matchMedia("(pointer: fine)").matches) field.focus(); // on a phone it would bring up the keyboard
