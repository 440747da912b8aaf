/** Credentials that expire: who is asked for them and when, what a refusal is, and what the application decides. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Refused, connect } from "../../../sessionstream/transport/ws/static/sessionstream.js";
import { Talk, seeded } from "./talk.mjs";

let sockets;
let clients;
let waiting;

class FakeSocket {
  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    sockets.push(this);
    waiting?.(this);
    waiting = null;
  }

  send() {}

  close() {
    this.closed = true;
  }

  greet() {
    this.onopen({});
    this.onmessage({ data: JSON.stringify({ hello: {} }) });
  }
}

beforeEach(() => {
  [sockets, clients, waiting] = [[], [], null];
});

afterEach(() => clients.forEach((client) => client.close()));

/** A client that comes back at once, with the changes of its state. */
function made(url, options = {}) {
  const changes = [];
  const client = connect(url, { WebSocket: FakeSocket, floor: 1, first: 1, ceiling: 1, onState: (change) => changes.push(change), ...options });
  clients.push(client);
  return { client, changes };
}

const nextSocket = () => new Promise((resolve) => (waiting = resolve));
const brief = (changes) => changes.map(({ state, status, code, reason }) => [state, status, code, reason].filter((each) => each !== undefined));
const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
};

test("address and sub-protocols are asked for before every attempt, whatever way they are answered", async () => {
  let asked = 0;
  made(async () => new URL(`http://127.0.0.1/ws?token=${++asked}#part`), { protocols: () => ["sessionstream.v1", `token.${asked}`] });
  for (const number of [1, 2, 3]) {
    const { url, protocols } = await nextSocket();
    assert.deepEqual([url, protocols], [`ws://127.0.0.1/ws?token=${number}`, ["sessionstream.v1", `token.${number}`]]);
    sockets.at(-1).greet();
    sockets.at(-1).onclose({ code: 1012, reason: "retry-after=0" }); // its time is over
  }
});

test("what is fixed is given as it is, and at once", () => {
  made("ws://127.0.0.1/ws", { protocols: ["sessionstream.v1"] });
  assert.deepEqual([sockets[0].url, sockets[0].protocols], ["ws://127.0.0.1/ws", ["sessionstream.v1"]]);
  assert.throws(() => made("not an address"), TypeError);
});

for (const [what, fails] of [
  ["throws", () => { throw new Error("no network"); }],
  ["rejects", async () => { throw new Error("no network"); }],
  ["throws what is no error", () => { throw "no network"; }],
  ["returns what is no address", () => "ws://:no network"],
]) {
  for (const which of ["url", "protocols"]) {
    if (which === "protocols" && what.startsWith("returns")) continue;
    test(`a function for ${which} that ${what} makes a failed attempt, and another follows`, async () => {
      let times = 0;
      const first = (good) => () => (++times === 1 ? fails() : good);
      const url = which === "url" ? first("ws://127.0.0.1/ws") : "ws://127.0.0.1/ws";
      const { changes } = made(url, which === "url" ? {} : { protocols: first(["sessionstream.v1"]) });
      (await nextSocket()).greet();
      assert.deepEqual(changes.map(({ state }) => state), ["reconnecting", "live"]);
      assert.match(changes[0].reason, /no network|Invalid URL/);
      assert.equal(changes[0].code, 1006);
    });
  }
}

test("one that takes longer than the patience is not waited for, and what it says later is too late", async () => {
  const answers = [];
  const { changes } = made(() => new Promise((resolve) => answers.push(resolve)), { patience: 20 });
  await until(() => answers.length === 2);
  answers[0]("ws://127.0.0.1/of-the-first");
  const coming = nextSocket();
  answers[1]("ws://127.0.0.1/of-the-second");
  assert.equal((await coming).url, "ws://127.0.0.1/of-the-second");
  assert.deepEqual(brief(changes), [["reconnecting", 1006, "the connection was not made in time"]]);
  assert.equal(sockets.length, 1);
});

test("a client that is closed while it asks does not connect", async () => {
  let answer;
  const { client } = made(() => new Promise((resolve) => (answer = resolve)));
  await until(() => answer);
  client.close();
  answer("ws://127.0.0.1/ws");
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(sockets, []);
});

test("a token service that refuses is a state with its status, and is asked again", async () => {
  let signedIn = false;
  const { changes, client } = made(async () => {
    if (!signedIn) throw new Refused(401, "signed out");
    return "ws://127.0.0.1/ws";
  });
  await until(() => changes.length === 3);
  assert.deepEqual(brief(changes), Array(3).fill(["refused", 401, "signed out"]));
  assert.ok(changes.every(({ retryIn }) => retryIn === 1));
  assert.equal(client.state.state, "refused");
  signedIn = true;
  (await nextSocket()).greet();
  assert.equal(client.state.state, "live");
});

test("a server that refuses by closing is told from a network that is gone", async () => {
  const { changes } = made(() => "ws://127.0.0.1/ws");
  for (const event of [{ code: 4401, reason: "expired" }, { code: 1006, reason: "" }, { code: 4403, reason: "" }]) {
    const socket = await nextSocket();
    socket.onopen({});
    socket.onclose(event);
  }
  assert.deepEqual(brief(changes), [["refused", 401, 4401, "expired"], ["reconnecting", 1006, ""], ["refused", 403, 4403, ""]]);
});

for (const [code, status] of [[4401, 401], [4403, 403]]) {
  test(`with credentials that cannot change ${code} is the end, and everybody is told why`, async () => {
    const { client, changes } = made("ws://127.0.0.1/ws", { protocols: ["sessionstream.v1", "token.old"] });
    const ends = [];
    client.subscribe("s", { onEnd: (why) => ends.push(why) });
    sockets[0].onopen({});
    sockets[0].onclose({ code, reason: "expired" });
    assert.deepEqual(brief(changes), [["refused", status, code, "expired"], ["closed", status, code, "expired"]]);
    assert.equal(changes[0].retryIn, undefined);
    const why = { code: "refused", message: `this client is not let in: ${status} expired`, detail: "expired", status, close: code };
    assert.deepEqual(ends, [why]);
    client.subscribe("t", { onEnd: (later) => ends.push(later) });
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(ends, [why, why]);
  });
}

test("the application decides, by the status and how many refusals there were in a row", async () => {
  const asked = [];
  const { changes } = made(() => { throw new Refused(404); }, {
    refusal: (status, attempt) => asked.push([status, attempt]) < 3,
  });
  await until(() => changes.at(-1)?.state === "closed");
  assert.deepEqual(asked, [[404, 1], [404, 2], [404, 3]]);
  assert.deepEqual(changes.map(({ state }) => state), ["refused", "refused", "refused", "closed"]);
});

test("a policy that throws is an uncaught error, and the default decides", async (context) => {
  for (const [url, state] of [[() => "ws://127.0.0.1/ws", "refused"], ["ws://127.0.0.1/ws", "closed"]]) {
    const uncaught = context.mock.method(globalThis, "queueMicrotask", () => {});
    const { client } = made(url, { refusal: () => { throw new Error("of the application"); } });
    await until(() => sockets.length);
    const socket = sockets.pop();
    socket.onopen({});
    socket.onclose({ code: 4401, reason: "" });
    assert.equal(client.state.state, state);
    assert.throws(uncaught.mock.calls.at(-1).arguments[0], /of the application/);
    uncaught.mock.restore();
    client.close();
  }
});

test("a refusal has a status", () => {
  assert.throws(() => new Refused("401"), /whole number/);
  const refused = new Refused(403);
  assert.deepEqual([refused instanceof Error, refused.name, refused.status, refused.message], [true, "Refused", 403, ""]);
});

for (const status of [400, 401, 403, 404, 407, 408, 410, 429, 500, 502, 503, 504]) {
  for (const asksAnew of [false, true]) {
    test(`${status} ${asksAnew ? "with credentials that are asked for anew" : "with fixed credentials"}`, () => {
      const talk = new Talk({ asksAnew });
      talk.protocol.start(0);
      talk.subscribe("s");
      const effects = talk.protocol.refused(status, "", 0);
      const passes = asksAnew || ![401, 403].includes(status);
      assert.deepEqual(effects.map(({ do: what }) => what), passes ? ["state"] : ["state", "end", "state"]);
      assert.equal(talk.protocol.state, passes ? "refused" : "closed");
      assert.deepEqual(talk.protocol.refused(status, "", 0), [], "there is no attempt");
    });
  }
}

for (let seed = 1; seed <= 60; seed++) {
  test(`whatever happens to the attempts, the state says what the last of them came to, and the next is as good: ${seed}`, () => {
    const draw = seeded(seed);
    const refusals = [];
    const talk = new Talk({ refusal: (...asked) => refusals.push(asked), random: () => draw(100) / 100 });
    talk.protocol.start(0);
    let inARow = 0;
    for (let times = 0; times < 40; times++) {
      let expected;
      if (draw(2)) talk.protocol.opened(talk.now);
      switch (draw(4)) {
        case 0:
          talk.protocol.refused(502, "in a deploy", talk.now);
          expected = { state: "refused", status: 502, reason: "in a deploy" };
          break;
        case 1:
          talk.protocol.closed(4401, "expired", talk.now);
          expected = { state: "refused", status: 401, code: 4401, reason: "expired" };
          break;
        case 2:
          talk.hear({ hello: {} });
          assert.equal(talk.protocol.state, "live");
          inARow = 0;
          talk.lose();
          expected = { state: "reconnecting" };
          break;
        default:
          talk.lose();
          expected = { state: "reconnecting" };
      }
      if (expected.status) assert.deepEqual(refusals.at(-1), [expected.status, ++inARow]);
      assert.equal(talk.protocol.state, expected.state);
      talk.now = draw(2) ? talk.protocol.deadline : talk.now;
      const effects = talk.now === talk.protocol.deadline ? talk.protocol.tick(talk.now) : talk.protocol.hurry(talk.now);
      assert.deepEqual(effects, [{ do: "open" }]);
    }
  });
}
