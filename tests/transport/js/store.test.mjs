/** The store of entities, its commands and the iterator, on a client without a network. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "../../../js/sessionstream.js";
import { CommandError, Store, updates } from "../../../js/store.js";
import { entity, snapshot } from "./talk.mjs";

const turn = () => new Promise((resolve) => setTimeout(resolve));

class FakeSocket {
  static last = null;
  said = [];

  constructor() {
    FakeSocket.last = this;
  }

  send(text) {
    this.said.push(Object.keys(JSON.parse(text))[0]);
  }

  close() {}

  hear(...frames) {
    for (const frame of frames) this.onmessage({ data: JSON.stringify(frame) });
  }
}

function connected(options) {
  const client = connect("ws://127.0.0.1:1/ws", { WebSocket: FakeSocket, ...options });
  FakeSocket.last.onopen({});
  FakeSocket.last.hear({ hello: {} });
  return { client, socket: FakeSocket.last };
}

const live = (ordinal, name, payload) => ({ uiEvent: { sessionId: "s", eventOrdinal: String(ordinal), name, payload } });
const changed = (id, created, last, text = "") =>
  live(last, "EntityChanged", { kind: "Note", id, createdOrdinal: String(created), lastEventOrdinal: String(last), payload: { text } });
const note = (id, created, last = created) => ({ ...entity(id, created, last), kind: "Note" });

function watched(options, first = snapshot(3, [note("a", 1), note("b", 2), { ...note("c", 3), kind: "Other" }], { epoch: "7" })) {
  const { client, socket } = connected();
  const store = new Store(client, options);
  const session = store.session("s");
  let changes = 0;
  const stop = session.subscribe(() => (changes += 1));
  socket.hear(first);
  return { client, socket, store, session, stop, changes: () => changes };
}

const ids = (list) => list.map(({ id }) => id);

test("an entity that did not change keeps its identity, and so does the list of another kind", async () => {
  const { client, socket, session } = watched();
  await turn();
  const [notes, others, all] = [session.entities("Note"), session.entities("Other"), session.entities()];
  assert.equal(session.entities("Note"), notes);
  socket.hear(changed("b", 2, 4, "new"), changed("d", 5, 5));
  const after = session.entities("Note");
  assert.deepEqual([ids(after), ids(session.entities()), ids(notes), ids(all)], [["a", "b", "d"], ["a", "b", "c", "d"], ["a", "b"], ["a", "b", "c"]]);
  assert.equal(after[0], notes[0]);
  assert.notEqual(after[1], notes[1]);
  assert.equal(after[1].payload.text, "new");
  assert.equal(session.entities("Other"), others);
  socket.hear(live(6, "EntityDeleted", { kind: "Note", id: "a" }));
  assert.deepEqual(ids(session.entities("Note")), ["b", "d"]);
  assert.equal(session.entity("Note", "a"), undefined);
  client.close();
});

test("a snapshot of the same history keeps what it repeats; one of another does not", async () => {
  const { client, socket, session } = watched();
  const [before, other] = [session.entities("Note"), session.entities("Other")];
  socket.hear(snapshot(9, [note("a", 1), note("b", 2, 9), { ...note("c", 3), kind: "Other" }], { epoch: "7" }));
  assert.equal(session.entities("Note")[0], before[0]);
  assert.notEqual(session.entities("Note")[1], before[1]);
  assert.equal(session.entities("Other"), other);
  socket.hear(snapshot(9, [note("a", 1)], { epoch: "8" }));
  assert.notEqual(session.entities("Note")[0], before[0]);
  client.close();
});

test("the lists are those that folding everything again gives, in timeline order", () => {
  const { client, socket, session } = watched({}, snapshot(0, [], { epoch: "7" }));
  const held = new Map();
  let seed = 1;
  const draw = (n) => (seed = (seed * 48_271) % 2_147_483_647) % n;
  for (let ordinal = 1; ordinal < 400; ordinal++) {
    const id = `n${draw(40)}`;
    if (held.has(id) && draw(4) === 0) {
      held.delete(id);
      socket.hear(live(ordinal, "EntityDeleted", { kind: "Note", id }));
    } else {
      const created = held.get(id)?.created ?? Math.ceil(ordinal / 8);
      held.set(id, { id, created, last: ordinal });
      socket.hear(changed(id, created, ordinal));
    }
    const expected = [...held.values()].sort((a, b) => a.created - b.created || a.last - b.last).map(({ id }) => id);
    assert.deepEqual(ids(session.entities("Note")), expected);
    if (draw(2)) assert.deepEqual(ids(session.state.entities), expected);
  }
  client.close();
});

test("listeners share one subscription; it survives leaving and coming back at once, and ends a moment after the last", async () => {
  const { client, socket, session, stop } = watched();
  stop();
  const again = session.subscribe(() => {});
  await turn();
  assert.deepEqual(socket.said, ["subscribe"]);
  again();
  await turn();
  assert.deepEqual(socket.said, ["subscribe", "unsubscribe"]);
  client.close();
});

test("the state is one object until something changes, and says why it ended", () => {
  const { client, socket, session, changes } = watched();
  const { state } = session;
  assert.equal(session.state, state);
  assert.deepEqual([state.status, state.ordinal, state.epoch], ["ready", 3n, 7n]);
  socket.hear({ error: { code: "unauthorized", message: "no", sessionId: "s" } });
  assert.deepEqual([session.state.status, session.state.error.code, changes()], ["ended", "unauthorized", 2]);
  client.close();
});

test("what is given can be written as JSON, exactly, and read again as the beginning of a store", async () => {
  const { client, socket } = connected();
  const seen = [];
  client.subscribe("s", { onSnapshot: (each) => seen.push(each), onEvent: (each) => seen.push(each) });
  const huge = String(2n ** 64n - 1n);
  socket.hear(snapshot(9_007_199_254_740_993n, [{ ...note("a", 1), createdOrdinal: "9007199254740993", lastEventOrdinal: "9007199254740993" }], { epoch: huge }));
  socket.hear(live(huge, "Said", {}));
  const written = JSON.parse(JSON.stringify(seen));
  assert.deepEqual([written[0].epoch, written[0].entities[0].createdOrdinal, written[1].ordinal], [huge, "9007199254740993", huge]);
  const begun = new Store(() => assert.fail("no client is needed"), { initial: { s: written[0] } }).session("s");
  assert.deepEqual(begun.entities("Note"), seen[0].entities);
  assert.equal(begun.state, begun.initialState);
  assert.equal(begun.initialEntities("Note"), begun.initialEntities("Note"));
  client.close();
});

test("a command shows what is expected, and the server's word replaces it", async () => {
  const asked = [];
  let answer;
  const fetch = (url, request) => {
    asked.push([url, request]);
    return new Promise((resolve) => (answer = resolve));
  };
  const { client, socket, session } = watched({ commands: "/api/", fetch, headers: async () => ({ authorization: "t" }) });
  const before = session.entities("Note");
  const optimistic = [{ kind: "Note", id: "x/y", payload: { text: "soon" } }, { kind: "Note", id: "a", payload: null }];
  const sent = session.command("Add Note", { size: 2n ** 60n }, { key: "k-1", optimistic });
  assert.deepEqual(ids(session.entities("Note")), ["b", "x/y"]);
  assert.equal(session.entity("Note", "x/y").pending, true);
  assert.equal(session.entity("Note", "a"), undefined);
  await turn();
  const [[url, request]] = asked;
  assert.equal(url, "/api/sessions/s/commands/Add%20Note");
  assert.deepEqual([request.body, request.headers["idempotency-key"], request.headers.authorization], ['{"size":"1152921504606846976"}', "k-1", "t"]);
  socket.hear(changed("x/y", 4, 4, "now"), live(4, "EntityDeleted", { kind: "Note", id: "a" }));
  assert.deepEqual(session.entities("Note").map(({ id, pending }) => [id, pending]), [["b", undefined], ["x/y", undefined]]);
  answer(new Response("{}"));
  await sent;
  assert.deepEqual(ids(before), ["a", "b"]);
  client.close();
});

test("a command that fails takes back what it showed, and says why", async () => {
  const answers = [
    () => new Response('{"error": {"code": "forbidden", "message": "not yours"}}', { status: 403 }),
    () => Promise.reject(new TypeError("fetch failed")),
  ];
  const { client, session } = watched({ commands: "/api", fetch: async () => answers.shift()() });
  const before = session.entities("Note");
  for (const [status, code] of [[403, "forbidden"], [0, "unreachable"]]) {
    const sent = session.command("Add", {}, { optimistic: [{ kind: "Note", id: "x", payload: {} }] });
    assert.equal(session.entities("Note").length, 3);
    const error = await sent.then(assert.fail, (each) => each);
    assert.ok(error instanceof CommandError);
    assert.deepEqual([error.status, error.code, error.key.length], [status, code, 32]);
    assert.equal(session.entities("Note"), before);
  }
  await assert.rejects(new Store(client).send("s", "Add", {}), /option commands/);
  client.close();
});

for (const number of [NaN, Infinity, -Infinity]) {
  test(`a command with ${number}, which JSON would write as null, is refused and named before it is sent`, async () => {
    const { client, session } = watched({ commands: "/api", fetch: () => assert.fail("it was sent") });
    const optimistic = [{ kind: "Note", id: "x", payload: {} }];
    const sent = session.command("Add", { args: [{ x: 1, y: number }] }, { optimistic });
    await assert.rejects(sent, { name: "RangeError", message: new RegExp(`"y" .*${number}`) });
    assert.equal(session.entity("Note", "x"), undefined);
    client.close();
  });
}

test("a key that is no text for a header is refused and named before the command is sent", async () => {
  const { client, session } = watched({ commands: "/api", fetch: () => assert.fail("it was sent") });
  for (const key of ["order-\u{1f600}", "Łódź", "é", "a\nb"]) {
    const sent = session.command("Add", {}, { key, optimistic: [{ kind: "Note", id: "x", payload: {} }] });
    await assert.rejects(sent, { name: "RangeError", message: `the key "${key}" of a command is no ASCII text` });
    assert.equal(session.entity("Note", "x"), undefined);
  }
  client.close();
});

test("a store says at once what it takes", () => {
  for (const wrong of ["/ws", undefined, null, {}]) assert.throws(() => new Store(wrong), /a store needs a client/);
  const { client } = connected();
  for (const right of [client, () => client]) assert.equal(new Store(right).client, client);
  client.close();
});

test("a command without fields needs no payload", async () => {
  const bodies = [];
  const fetch = async (_, { body }) => (bodies.push(body), { ok: true });
  const { client, store, session } = watched({ commands: "/api", fetch });
  await session.command("Stop");
  await store.send("s", "Stop");
  assert.deepEqual(bodies, ["{}", "{}"]);
  client.close();
});

test("the iterator gives a snapshot, events, and a snapshot again for a reader that is too slow", async () => {
  const { client, socket } = connected();
  const read = updates(client, "s");
  const first = read.next();
  await turn();
  socket.hear(snapshot(1), live(2, "Said", {}));
  assert.equal((await first).value.snapshot.ordinal, 1n);
  assert.equal((await read.next()).value.event.ordinal, 2n);
  for (let ordinal = 3; ordinal < 1_100; ordinal++) socket.hear(live(ordinal, "Said", {}));
  const next = read.next();
  await turn();
  socket.hear({ unsubscribed: { sessionId: "s" } }, snapshot(1_099));
  assert.equal((await next).value.snapshot.ordinal, 1_099n);
  await read.return();
  assert.equal(socket.said.at(-1), "unsubscribe");
  client.close();
});

test("the iterator ends with the client, throws why the subscription ended, and obeys a signal", async () => {
  const { client, socket } = connected();
  const refused = updates(client, "s").next();
  await turn();
  socket.hear({ error: { code: "unauthorized", message: "no", sessionId: "s" } });
  await assert.rejects(refused, { code: "unauthorized", message: "no" });
  const control = new AbortController();
  const aborted = updates(client, "t", { signal: control.signal }).next();
  await turn();
  control.abort();
  await assert.rejects(aborted, { name: "AbortError" });
  const closed = updates(client, "u").next();
  await turn();
  client.close();
  assert.deepEqual(await closed, { value: undefined, done: true });
});

test("a subscription obeys a signal, also one that is aborted already", async () => {
  const { client, socket } = connected();
  const heard = [];
  const control = new AbortController();
  client.subscribe("s", { signal: control.signal, onSnapshot: () => heard.push("snapshot"), onEnd: () => heard.push("end") });
  client.subscribe("t", { signal: AbortSignal.abort(), onEnd: () => heard.push("end") });
  await turn();
  socket.hear(snapshot(1));
  control.abort();
  assert.deepEqual([heard, socket.said], [["snapshot"], ["subscribe", "unsubscribe"]]);
  client.close();
});

test("several may listen to the states and errors of a client, each until it stops", () => {
  const heard = [];
  const { client, socket } = connected({ onState: ({ state }) => heard.push(`option ${state}`) });
  const stop = client.on("state", ({ state }) => heard.push(state));
  client.on("error", ({ code }) => heard.push(code));
  socket.hear({ error: { code: "rate_limited", message: "slower" } });
  socket.onclose({ code: 1006, reason: "" });
  stop();
  client.close();
  assert.deepEqual(heard, ["option live", "rate_limited", "option reconnecting", "reconnecting", "option closed"]);
  assert.throws(() => client.on("snapshot", () => {}), /event has to be state or error, not snapshot/);
});
