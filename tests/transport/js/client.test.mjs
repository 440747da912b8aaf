/** The client around the protocol: sockets, timers and handlers, with a WebSocket that the test holds in its hands. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { connect } from "../../../sessionstream/transport/ws/static/sessionstream.js";
import { entity, event, snapshot } from "./talk.mjs";

let sockets;
let listeners;
let clients;
let waiting; // for the next socket
const { now } = performance;

class FakeSocket {
  static refuses = null;

  constructor(url) {
    if (FakeSocket.refuses) throw FakeSocket.refuses;
    Object.assign(this, { url, said: [], closes: 0 });
    sockets.push(this);
    waiting?.(this);
  }

  send(text) {
    this.said.push(JSON.parse(text));
  }

  close() {
    this.closes += 1;
  }

  /** Open, and greet. */
  greet() {
    this.onopen({});
    this.hear({ hello: {} });
    return this;
  }

  hear(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }
}

beforeEach(() => {
  [sockets, clients, waiting, FakeSocket.refuses] = [[], [], null, null];
  listeners = new Map();
  globalThis.addEventListener = (type, listener) => listeners.set(type, [...(listeners.get(type) ?? []), listener]);
  globalThis.removeEventListener = (type, listener) => {
    const left = listeners.get(type).filter((each) => each !== listener);
    if (left.length) listeners.set(type, left);
    else listeners.delete(type);
  };
});

afterEach(() => {
  clients.forEach((client) => client.close());
  assert.equal(listeners.size, 0, "a client that is closed listens to nothing");
  delete globalThis.addEventListener;
  delete globalThis.removeEventListener;
  delete globalThis.document;
  delete performance.now;
});

/** The browser says what has happened to the page. */
const happens = (type, more = {}) => listeners.get(type)?.forEach((listener) => listener({ type, ...more }));

function client(options = {}) {
  const made = connect("ws://127.0.0.1:1/ws", { WebSocket: FakeSocket, floor: 1, first: 1, ceiling: 1, ...options });
  clients.push(made);
  return made;
}

const nextSocket = () => new Promise((resolve) => (waiting = resolve));
const members = (socket) => socket.said.map((frame) => Object.keys(frame)[0]);

test("what a handler asks for comes after what was to be said before", () => {
  let subscription;
  const made = client({ onState: ({ state }) => state === "live" && subscription.unsubscribe() });
  subscription = made.subscribe("s", {});
  made.subscribe("t", {});
  const socket = sockets[0].greet();
  assert.deepEqual(socket.said.map((frame) => [Object.keys(frame)[0], Object.values(frame)[0].sessionId]), [
    ["subscribe", "s"],
    ["subscribe", "t"],
    ["unsubscribe", "s"],
  ]);
});

test("a handler may unsubscribe, subscribe again and close, and hears no more of what it left", () => {
  const heard = [];
  const made = client();
  const first = made.subscribe("s", {
    onSnapshot() {
      heard.push("first");
      first.unsubscribe();
      made.subscribe("s", { onSnapshot: () => heard.push("second"), onEvent: () => made.close(), onEnd: (why) => heard.push(why) });
    },
    onEvent: () => heard.push("an event of what it left"),
    onEnd: () => heard.push("an end of what it left"),
  });
  const socket = sockets[0].greet();
  socket.hear(snapshot(1));
  socket.hear(event(2));
  assert.deepEqual(heard, ["first"]);
  socket.hear({ unsubscribed: { sessionId: "s" } });
  socket.hear(snapshot(2));
  socket.hear(event(3));
  assert.deepEqual(heard, ["first", "second", null]);
  assert.deepEqual(members(socket), ["subscribe", "unsubscribe", "subscribe"]);
  assert.equal(socket.closes, 1);
});

// -- several who watch one session ---------------------------------------------------------------------------------

/** Handlers that write down what they are given. */
function writing(heard, who, more = {}) {
  return {
    onSnapshot: ({ ordinal }) => heard.push(`${who} snapshot ${ordinal}`),
    onEvent: ({ ordinal }) => heard.push(`${who} event ${ordinal}`),
    onEnd: (why) => heard.push(`${who} end ${why && why.code}`),
    ...more,
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("no handler is called before the caller has the subscription", async () => {
  const heard = [];
  const made = client();
  made.subscribe("s", writing(heard, "a"));
  sockets[0].greet();
  sockets[0].hear(snapshot(1));
  const second = made.subscribe("s", writing(heard, "b", { onSnapshot: () => second.unsubscribe() }));
  assert.deepEqual(heard, ["a snapshot 1"]);
  await turn();
  made.close();
  const third = made.subscribe("s", { onEnd: () => heard.push(third.sessionId) });
  await turn();
  assert.deepEqual(heard, ["a snapshot 1", "a end null", "s"]);
});

test("one of them may throw, leave, and make others leave and come, in the middle of an event", async () => {
  const heard = [];
  const made = client();
  const subscriptions = {};
  const watch = (who, more) => (subscriptions[who] = made.subscribe("s", writing(heard, who, more)));
  watch("a", {
    onEvent: ({ ordinal }) => {
      heard.push(`a event ${ordinal}`);
      subscriptions.a.unsubscribe();
      subscriptions.b.unsubscribe();
      watch("d");
    },
  });
  watch("b");
  watch("c");
  sockets[0].greet();
  sockets[0].hear(snapshot(1));
  heard.length = 0;
  sockets[0].hear(event(2));
  await turn();
  sockets[0].hear(event(3));
  assert.deepEqual(heard, ["a event 2", "c event 2", "d snapshot 1", "d event 2", "c event 3", "d event 3"]);
  assert.deepEqual(members(sockets[0]), ["subscribe"]);
  made.close();
  assert.deepEqual(heard.slice(6), ["c end null", "d end null"]);
});

test("a component that is mounted, unmounted and mounted again, as in React's StrictMode, is given everything once", async () => {
  for (const connected of [false, true]) {
    const heard = [];
    const made = client();
    const socket = sockets.at(-1);
    if (connected) socket.greet();
    made.subscribe("s", writing(heard, "first")).unsubscribe();
    made.subscribe("s", writing(heard, "second"));
    await turn();
    if (!connected) socket.greet();
    if (connected) socket.hear({ unsubscribed: { sessionId: "s" } });
    socket.hear(snapshot(1));
    socket.hear(event(2));
    assert.deepEqual(heard, ["second snapshot 1", "second event 2"]);
    assert.deepEqual(members(socket), connected ? ["subscribe", "unsubscribe", "subscribe"] : ["subscribe"]);
  }
});

test("what one of them makes of what it is given is not seen by another", async () => {
  const seen = [];
  const made = client();
  const handlers = () => ({
    onSnapshot: ({ entities }) => seen.push(entities.splice(0)[0].payload.text),
    onEvent: ({ payload }) => seen.push(payload.text) && (payload.text = "changed"),
  });
  made.subscribe("s", handlers());
  made.subscribe("s", handlers());
  sockets[0].greet();
  sockets[0].hear(snapshot(1, [entity("a", 1)]));
  sockets[0].hear({ uiEvent: { sessionId: "s", eventOrdinal: "2", name: "Said", payload: { text: "b" } } });
  made.subscribe("s", handlers());
  await turn();
  assert.deepEqual(seen, ["a", "a", "b", "b", "a", "b"]);
});

test("a subscription made while others end is not taken for one of them", () => {
  const heard = [];
  const made = client();
  let second;
  made.subscribe("a", {
    onEnd() {
      second.unsubscribe();
      made.subscribe("b", { onEnd: (why) => heard.push(why.code) });
    },
  });
  second = made.subscribe("b", { onEnd: () => heard.push("of the one that was left") });
  sockets[0].greet();
  sockets[0].onclose({ code: 1008, reason: "no" });
  assert.deepEqual(heard, ["closed"]);
  assert.equal(made.state.state, "closed");
});

test("a handler that throws stops nobody else, and its error is uncaught", () => {
  const real = globalThis.queueMicrotask;
  const uncaught = [];
  try {
    const heard = [];
    const broken = () => {
      throw new Error("of the application");
    };
    const made = client({ onState: broken });
    globalThis.queueMicrotask = (throwing) => uncaught.push(throwing);
    made.subscribe("s", { onSnapshot: broken, onEvent: ({ ordinal }) => heard.push(ordinal) });
    sockets[0].greet();
    sockets[0].hear(snapshot(1));
    sockets[0].hear(event(2));
    assert.deepEqual(heard, [2n]);
    made.close();
    assert.equal(uncaught.length, 4); // after subscribing, onState twice, onSnapshot once
    for (const throwing of uncaught.slice(1)) assert.throws(throwing, /of the application/);
  } finally {
    globalThis.queueMicrotask = real;
  }
});

test("closed while it connects, it is closed, whatever the socket says then", () => {
  const states = [];
  const made = client({ onState: ({ state }) => states.push(state) });
  const ends = [];
  made.subscribe("s", { onEnd: (why) => ends.push(why) });
  made.close();
  const [socket] = sockets;
  assert.equal(socket.closes, 1);
  socket.greet();
  socket.onerror({});
  socket.onclose({ code: 1006, reason: "" });
  made.reconnect();
  made.close();
  assert.deepEqual([states, ends, socket.said, sockets.length], [["closed"], [null], [], 1]);
});

test("handlers that are missing, and a policy that is no function, are refused where they are given", () => {
  const made = client({});
  for (const handlers of [undefined, null, () => {}]) assert.throws(() => made.subscribe("s", handlers), TypeError);
  sockets[0].greet();
  assert.deepEqual(sockets[0].said, [], "and nobody asks for the session");
  for (const refusal of [null, "never", false]) assert.throws(() => client({ refusal }), /^TypeError: refusal has to be a function/);
});

test("a socket that cannot be made is an error of whoever connects, and nothing is left of it", () => {
  FakeSocket.refuses = new SyntaxError("no such scheme");
  assert.throws(() => client(), /no such scheme/);
  assert.equal(listeners.size, 0);
});

test("a socket that cannot be made later is a lost connection", async () => {
  const changes = [];
  client({ onState: (change) => changes.push(change) });
  sockets[0].greet();
  const refused = new Promise((resolve) => {
    Object.defineProperty(FakeSocket, "refuses", {
      configurable: true,
      get: () => {
        resolve();
        return new Error("not now");
      },
    });
  });
  sockets[0].onclose({ code: 1006, reason: "" });
  await refused;
  Object.defineProperty(FakeSocket, "refuses", { configurable: true, writable: true, value: null });
  (await nextSocket()).greet();
  assert.deepEqual(
    changes.map(({ state, reason }) => [state, reason]),
    [["live", undefined], ["reconnecting", ""], ["reconnecting", "not now"], ["live", undefined]],
  );
});

test("an error without a close is a lost connection, and the old socket is not listened to", async () => {
  const heard = [];
  const made = client();
  made.subscribe("s", { onSnapshot: ({ ordinal }) => heard.push(ordinal) });
  const old = sockets[0].greet();
  const coming = nextSocket();
  old.onerror({});
  old.onclose({ code: 1000, reason: "" });
  old.hear(snapshot(1));
  (await coming).greet().hear(snapshot(2));
  assert.deepEqual([heard, old.closes, sockets.length], [[2n], 1, 2]);
});

for (const type of ["online", "offline", "pageshow", "visibilitychange"]) {
  test(`on ${type} a silent connection is pinged, and left within moments if it is dead`, async () => {
    globalThis.document = { visibilityState: "visible" };
    const changes = [];
    client({ hurryPatience: 20, onState: ({ state, reason }) => changes.push([state, reason]) });
    const socket = sockets[0].greet();
    performance.now = () => now.call(performance) + 2_000; // in which nothing was heard
    const coming = nextSocket();
    happens(type);
    happens(type);
    assert.deepEqual(members(socket), ["ping"]);
    (await coming).greet();
    assert.deepEqual(changes, [["live", undefined], ["reconnecting", "the server is silent"], ["live", undefined]]);
  });
}

test("what a page had open that comes back from the browser's cache is replaced at once", () => {
  const changes = [];
  client({ floor: 1e6, first: 1e6, ceiling: 1e6, onState: ({ state }) => changes.push(state) });
  sockets[0].greet();
  happens("pageshow", { persisted: true });
  sockets[0].onclose({ code: 1006, reason: "" });
  sockets[1].greet();
  assert.deepEqual([changes, sockets.length], [["live", "reconnecting", "live"], 2]);
});

test("a page that is loaded gives its first attempt all the time that it has", async () => {
  const changes = [];
  client({ hurryPatience: 1, patience: 50, onState: ({ reason }) => changes.push([reason, performance.now()]) });
  const before = performance.now();
  happens("pageshow");
  await nextSocket();
  assert.equal(changes[0][0], "the connection was not made in time");
  assert.ok(changes[0][1] - before > 30);
});

test("online, pageshow and becoming visible end a wait; offline and becoming hidden do not", () => {
  globalThis.document = { visibilityState: "hidden" };
  const made = client({ floor: 1e6, first: 1e6, ceiling: 1e6 });
  const lose = () => sockets.at(-1).onclose({ code: 1006, reason: "" });
  lose();
  happens("offline");
  happens("visibilitychange");
  assert.equal(sockets.length, 1);
  for (const type of ["online", "pageshow", "visibilitychange"]) {
    globalThis.document.visibilityState = "visible";
    const before = sockets.length;
    happens(type);
    assert.equal(sockets.length, before + 1, type);
    assert.equal(made.state.state, "reconnecting");
    lose();
  }
});
