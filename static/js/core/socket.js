// The socket that carries change hints and presence signals. It may be lost at any moment: refetch in `up`.

import { LONGEST_PAUSE } from "./http.js";

// In milliseconds.
const PING = 20_000;
const PATIENCE = 10_000;
const POLL = 10_000;
const BEAT = 5_000;

// `up` is called each time hints flow (again), `hint` for each, `poll` every ten seconds while they do not. `state` is
// called with "live", or with "reconnecting" and the time of the next try (by `performance.now`; 0 while one is under
// way); `refused` with the close code, 4401 or 4403, after which there is no further try.
export function openSocket(path, { up, hint, poll, state = () => {}, refused = () => {} }) {
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
  let socket = null;
  let tries = 0;
  let retry = 0;
  let pinging = 0;
  let waiting = 0;
  let stopped = false;

  function connect() {
    clearTimeout(retry);
    retry = 0;
    if (tries) state("reconnecting", 0);
    const own = (socket = new WebSocket(url));
    expect();
    own.onmessage = (event) => {
      if (own !== socket) return;
      const payload = JSON.parse(event.data);
      if (payload.pong) clearTimeout(waiting);
      else if (payload.hello) opened();
      else hint(payload);
    };
    own.onclose = (event) => own === socket && closed(event);
  }

  function opened() {
    tries = 0;
    clearTimeout(waiting);
    state("live");
    clearInterval(pinging);
    pinging = setInterval(ping, PING);
    up();
  }

  function ping() {
    if (socket?.readyState !== WebSocket.OPEN) return;
    socket.send("ping");
    expect();
  }

  // A dead connection may report nothing: too long a silence counts as lost.
  function expect() {
    clearTimeout(waiting);
    waiting = setTimeout(lost, PATIENCE);
  }

  function lost() {
    if (stopped || !socket || retry) return;
    const dead = socket;
    socket = null;
    dead.close();
    closed({ code: 1006 });
  }

  function closed(event) {
    clearInterval(pinging);
    clearTimeout(waiting);
    if (stopped) return;
    if (event.code === 4401 || event.code === 4403) {
      stopped = true;
      refused(event.code);
      return;
    }
    const most = Math.min(LONGEST_PAUSE, 500 * 2 ** tries++);
    const pause = most * (0.5 + Math.random() / 2);
    retry = setTimeout(connect, pause);
    state("reconnecting", performance.now() + pause);
  }

  function wake() {
    if (stopped || !retry) return;
    tries = 1;
    connect();
  }

  // After the machine has slept, its clock has jumped: the last update may be old.
  let beat = Date.now();
  setInterval(() => {
    const slept = Date.now() - beat > 6 * BEAT;
    beat = Date.now();
    if (slept && document.visibilityState === "visible") {
      wake();
      ping();
      poll();
    }
  }, BEAT);

  addEventListener("online", wake);
  addEventListener("offline", lost);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && (wake(), ping()));
  addEventListener("pageshow", (event) => event.persisted && (wake(), ping()));
  setInterval(() => socket?.readyState !== WebSocket.OPEN && !stopped && poll(), POLL);
  connect();
  function stop() {
    stopped = true;
    clearTimeout(retry);
    socket?.close();
  }

  // Dropped while the socket is not open.
  function send(message) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  }

  return { reconnect: wake, send, stop };
}
