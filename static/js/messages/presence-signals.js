// Presence signals: who else looks at a conversation, and who is typing in it. They are stored nowhere: each is sent
// again while it is true, and expires when it is not.

const { looksFor, typingFor } = document.body.dataset; // seconds, as the server forgets them
const COUNTS_FOR = { looks: looksFor * 1000, replies: typingFor * 1000, notes: typingFor * 1000 };
// Milliseconds after which a signal is sent again.
const AGAIN = { looks: 20_000, replies: 3_000, notes: 3_000 };

// Tracks what others do, by conversation. `changed` is called with the conversation each time that this changes.
export function trackSignals(changed) {
  const known = new Map();
  let timer = 0;

  function receive({ conversation, who, name, does }) {
    const signs = known.get(conversation) ?? new Map();
    known.set(conversation, signs);
    const before = signs.get(who)?.does;
    if (does in COUNTS_FOR) signs.set(who, { name, does, until: performance.now() + COUNTS_FOR[does] });
    else signs.delete(who);
    if (!signs.size) known.delete(conversation);
    if (signs.get(who)?.does !== before) changed(conversation);
    wait();
  }

  function forget() {
    timer = 0;
    const now = performance.now();
    for (const [conversation, signs] of known) {
      const gone = [...signs].filter(([, { until }]) => until <= now);
      for (const [who] of gone) signs.delete(who);
      if (!signs.size) known.delete(conversation);
      if (gone.length) changed(conversation);
    }
    wait();
  }

  function wait() {
    const ends = [...known.values()].flatMap((signs) => [...signs.values()].map(({ until }) => until));
    clearTimeout(timer);
    timer = ends.length ? setTimeout(forget, Math.max(0, Math.min(...ends) - performance.now())) : 0;
  }

  return {
    receive,
    of: (conversation) => [...(known.get(conversation) ?? [])].map(([who, { name, does }]) => ({ who, name, does })),
    forgetAll() {
      for (const conversation of [...known.keys()]) if (known.delete(conversation)) changed(conversation);
    },
  };
}

// Sends what the page's user does, when it changes and again while it is true. Typing ends by itself, and then `rests`
// is true.
export function announceActivity(send, { rests = "gone" } = {}) {
  let does = "gone";
  let where = {};
  let timer = 0;
  let typed = 0;

  function announce() {
    clearTimeout(timer);
    send({ ...where, does });
    if (does in AGAIN) timer = setTimeout(again, AGAIN[does]);
  }

  function again() {
    if (does !== rests && performance.now() - typed > AGAIN[does]) does = rests;
    announce();
  }

  return {
    // The person turns to another conversation, or away.
    open(conversation) {
      where = { at: conversation };
      does = conversation === null ? "gone" : rests;
      announce();
    },
    typing(how = "replies") {
      typed = performance.now();
      if (does === how) return;
      does = how;
      announce();
    },
    stopped() {
      if (does === rests || does === "gone") return;
      does = rests;
      announce();
    },
  };
}

// Writes who is typing into `box`, which has the texts for it.
export function renderTyping(box, people) {
  const names = new Intl.ListFormat(document.documentElement.lang || "en").format(people.map(({ name }) => bidiIsolate(name)));
  const words = box.dataset;
  const isNote = people.length === 1 && people[0].does === "notes";
  const word = people.length > 1 ? words.wordMany : isNote ? words.wordNote : words.wordOne;
  box.textContent = people.length ? word.replace("{name}", names).replace("{names}", names) : "";
  box.hidden = !people.length;
}

// Isolates a name, so that its writing direction does not change the order of the words around it.
export const bidiIsolate = (name) => `\u2068${name}\u2069`;
