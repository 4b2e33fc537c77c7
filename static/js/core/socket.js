// The socket that carries hints and signs. It may be lost at any moment: whoever listens refetches when it is back.

import { LONGEST_PAUSE } from "./http.js";

const PING = 20_000;
const PATIENCE = 10_000;
const POLL = 10_000;
const BEAT = 5_000;

// `up` is called each time hints flow (again), `hint` for each, `poll` every ten seconds while they do not. `state` is told
// "live", or "reconnecting" and when the next try is (by `performance.now`; 0 while one is under way).
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
      const told = JSON.parse(event.data);
      if (told.pong) clearTimeout(waiting);
      else if (told.hello) opened();
      else hint(told);
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

  // Nobody may be at the other end: what is silent for too long is lost.
  function expect() {
    clearTimeout(waiting);
    waiting = setTimeout(lost, PATIENCE);
  }

  function lost() {
    if (stopped || !socket || retry) return;
    const silent = socket;
    socket = null;
    silent.close();
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

  // A machine that has slept finds the time gone on: what it was told last may be long ago.
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

  // What is said while nobody hears it is lost.
  function send(what) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(what));
  }

  return { reconnect: wake, send, stop };
}
