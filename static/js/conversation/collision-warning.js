// Two agents who answer one customer at once: before a reply is sent, its writer learns that somebody has just replied.

const FRESH = 5000; // milliseconds

// Watches the thread for replies of others. `warning` returns what to say before sending, once for each such reply.
export function watchForCollision(form, items) {
  const { wordReplied } = form.dataset;
  const { agent } = document.body.dataset;
  const language = document.documentElement.lang || "en";
  const ago = new Intl.RelativeTimeFormat(language, { style: "narrow", numeric: "always" });
  let began = 0; // when the agent began to type; 0 while nothing is typed
  let reply = null; // the newest reply of somebody else: {at, name}
  let warnedOf = null;

  const place = (line) => Number(line.dataset?.place ?? 0);
  let newest = Math.max(0, ...[...items.children].map(place)); // older lines that come in later are no news
  const isReply = (line) =>
    line.matches?.(".message.from-agent:not(.note), .message.from-shop") && line.dataset.agent !== agent;

  const watch = new MutationObserver((changes) => {
    const added = changes.flatMap((change) => [...change.addedNodes]).filter((line) => place(line) > newest);
    for (const line of added.filter(isReply)) {
      reply = { at: performance.now(), name: line.querySelector(".name").textContent };
    }
    newest = Math.max(newest, ...added.map(place));
  });
  watch.observe(items, { childList: true });

  return {
    typed(text) {
      if (!text.trim()) began = 0;
      else began ||= performance.now();
    },
    warning() {
      if (!reply || warnedOf === reply) return "";
      if (!(began && reply.at > began) && performance.now() - reply.at > FRESH) return "";
      warnedOf = reply;
      const seconds = Math.max(0, Math.round((performance.now() - reply.at) / 1000));
      const when = seconds < 60 ? ago.format(-seconds, "second") : ago.format(-Math.round(seconds / 60), "minute");
      return wordReplied.replace("{name}", reply.name).replace("{time}", when);
    },
  };
}
