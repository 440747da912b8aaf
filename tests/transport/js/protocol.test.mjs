import assert from "node:assert/strict";
import { test } from "node:test";

import { Protocol, inTimelineOrder } from "../../../sessionstream/transport/ws/static/sessionstream.js";
import { Talk, entity, event, ids, seeded, snapshot } from "./talk.mjs";

const kinds = (effects) => effects.map((effect) => effect.do);

/** Connected, subscribed to "s", and given a snapshot. */
function live(first = snapshot(0), options = {}) {
  const talk = new Talk(options);
  talk.protocol.start(0);
  talk.subscribe("s");
  talk.protocol.opened(0);
  talk.hear({ hello: {} });
  talk.hear(first);
  return talk;
}

// -- snapshot, then live -----------------------------------------------------------------------------------------

test("a session id that no server can have is refused here, and harms no other subscription", () => {
  const talk = live();
  for (const id of ["", "a\0b", "half of \ud83d", "\udca5", null, 3]) {
    assert.throws(() => talk.subscribe(id), TypeError, JSON.stringify(id));
  }
  for (const id of ["💥", "e\u0301", "\u202e"]) {
    assert.deepEqual(talk.say("subscribe", id), [{ subscribe: { sessionId: id, delta: true } }]);
  }
});

test("subscriptions are asked for once the hello was heard, and at once from then on", () => {
  const talk = new Talk();
  assert.deepEqual(kinds(talk.protocol.start(0)), ["open"]);
  assert.deepEqual(talk.say("subscribe", "early"), []);
  assert.deepEqual(talk.protocol.opened(0), []);
  assert.deepEqual(talk.sent(talk.hear({ hello: {} })), [{ subscribe: { sessionId: "early", delta: true } }]);
  assert.deepEqual(talk.say("subscribe", "late"), [{ subscribe: { sessionId: "late", delta: true } }]);
});

test("ordinals are BigInts, however large, and 0 when they are left out", () => {
  const talk = live();
  const [first] = talk.hear(snapshot("18446744073709551615", [entity("a", "18446744073709551614")], { epoch: "9007199254740993" }));
  assert.equal(first.snapshot.ordinal, 18446744073709551615n);
  assert.equal(first.snapshot.epoch, 9007199254740993n);
  assert.equal(first.snapshot.entities[0].createdOrdinal, 18446744073709551614n);
  const [second] = talk.hear(snapshot(0));
  assert.deepEqual([second.snapshot.ordinal, second.snapshot.epoch], [0n, 0n]);
});

test("events come after the snapshot and above it, in order and once", () => {
  const talk = live(snapshot(5));
  assert.deepEqual(talk.hear(event(5)), []);
  const [heard] = talk.hear(event(6));
  assert.deepEqual(heard.event, { sessionId: "s", ordinal: 6n, name: "Said", payload: {} });
  assert.deepEqual(kinds(talk.hear(event(6, "Second of the same event"))), ["event"]);
  assert.deepEqual(kinds(talk.hear(event(8))), ["event"]);
  assert.deepEqual(talk.hear(event(7)), []);
});

test("an event before the snapshot, or of another session, is nobody's", () => {
  const talk = new Talk();
  talk.connect();
  talk.subscribe("s");
  assert.deepEqual(talk.hear(event(1)), []);
  assert.deepEqual(talk.hear({ uiEvent: { sessionId: "other", eventOrdinal: "1" } }), []);
  assert.deepEqual(talk.hear({ snapshot: { sessionId: "other" } }), []);
});

test("changed entities move to their places, and those of one event stay in the order in which the server sorts them", () => {
  const talk = live();
  const another = { ...entity("z", 2), kind: "Another" };
  const first = [another, entity("a", 2), entity("ab", 2), entity("b", 2), entity("\uFF5E", 2), entity("\u{1F600}", 2), entity("late", 10)];
  assert.deepEqual(ids(talk.hear(snapshot(10, first, { epoch: "3" }))), ["z", "a", "ab", "b", "\uFF5E", "\u{1F600}", "late"]);
  const changed = [entity("\uFF5E", 2, 11), entity("a", 2, 12), entity("b", 2, 12), entity("new", 12)];
  const gone = { ...entity("ab", 2, 12), tombstone: true };
  const [second] = talk.hear(snapshot(12, [...changed, gone], { epoch: "3", since: "10" }));
  assert.deepEqual(ids([second]), ["z", "\u{1F600}", "\uFF5E", "a", "b", "late", "new"]);
  const [third] = talk.hear(snapshot(12, [entity("a", 2, 12), entity("b", 2, 12), entity("new", 12)], { epoch: "3", since: "11" }));
  assert.deepEqual(ids([third]), ids([second]));
});

test("entities are compared by created ordinal, last event ordinal, kind and id, text by code point", () => {
  const sorted = [["A", "z", 2, 2], ["B", "a", 2, 2], ["B", "ab", 2, 2], ["B", "\uFF5E", 2, 2], ["B", "\u{1F600}", 2, 2], ["A", "c", 2, 9], ["A", "a", 10, 10]];
  const placed = sorted.map(([kind, id, created, changed]) => ({ kind, id, createdOrdinal: BigInt(created), lastEventOrdinal: BigInt(changed) }));
  assert.deepEqual([...placed].reverse().sort(inTimelineOrder), placed);
});

test("what is delivered cannot be used to change what is held", () => {
  const talk = live();
  const [first] = talk.hear(snapshot(1, [entity("a", 1)], { epoch: "3" }));
  first.snapshot.entities[0].id = "b";
  first.snapshot.entities[0].payload.text += "!";
  first.snapshot.entities.pop();
  const [second] = talk.hear(snapshot(1, [], { epoch: "3", since: "1" }));
  assert.deepEqual(ids([second]), ["a"]);
  assert.equal(second.snapshot.entities[0].payload.text, "a");
});

// -- deltas ------------------------------------------------------------------------------------------------------

test("after a lost connection the client says what snapshot it holds, whatever it heard live since", () => {
  const talk = live(snapshot(5, [entity("a", 1)], { epoch: "77" }));
  talk.hear(event(6));
  talk.lose();
  const asked = { sessionId: "s", delta: true, sinceSnapshotOrdinal: "5", epoch: "77" };
  assert.deepEqual(talk.reconnect(), [{ subscribe: asked }]);
});

test("a delta changes, adds and deletes, and is told as a whole snapshot", () => {
  const before = [entity("gone", 1), entity("kept", 2), entity("moved", 3)];
  const talk = live(snapshot(5, before, { epoch: "77" }));
  talk.lose();
  talk.reconnect();
  const changes = [{ kind: "Thing", id: "gone", lastEventOrdinal: "6", tombstone: true }, entity("moved", 3, 7), entity("new", 8)];
  const effects = talk.hear(snapshot(8, changes, { epoch: "77", since: "5" }));
  assert.deepEqual(ids(effects), ["kept", "moved", "new"]);
  assert.ok(effects[0].snapshot.entities.every((each) => !("tombstone" in each)));
  assert.deepEqual(talk.hear(event(8)), []);
  assert.deepEqual(kinds(talk.hear(event(9))), ["event"]);
});

test("a full snapshot replaces, also one of an earlier ordinal: what the server says is so", () => {
  const talk = live(snapshot(9, [entity("a", 1)], { epoch: "77" }));
  talk.hear(event(10));
  talk.lose();
  talk.reconnect();
  assert.deepEqual(talk.hear(event(11)), [], "nothing is live before its snapshot");
  assert.deepEqual(ids(talk.hear(snapshot(4, [entity("b", 1)], { epoch: "78" }))), ["b"]);
  assert.deepEqual(kinds(talk.hear(event(5))), ["event"]);
});

test("a delta that does not follow is not applied: back with nothing in hand", () => {
  for (const wrong of [{ epoch: "77", since: "6" }, { epoch: "78", since: "5" }]) {
    const talk = live(snapshot(5, [entity("a", 1)], { epoch: "77" }));
    assert.deepEqual(kinds(talk.hear(snapshot(8, [], wrong))), ["error", "drop", "state"]);
    assert.deepEqual(talk.reconnect(), [{ subscribe: { sessionId: "s", delta: true } }]);
  }
});

test("from a server that says no epoch everything is asked for again", () => {
  const talk = live(snapshot(5, [entity("a", 1)]));
  talk.lose();
  assert.deepEqual(talk.reconnect(), [{ subscribe: { sessionId: "s", delta: true } }]);
});

// -- coming back -------------------------------------------------------------------------------------------------

for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 3000, 4000]) {
  test(`after ${code} the client comes back`, () => {
    const [change] = live().lose(code, "words");
    assert.deepEqual(change, { do: "state", change: { state: "reconnecting", code, reason: "words", retryIn: 500 } });
  });
}

for (const code of [1000, 1008, 1009]) {
  test(`after ${code} it does not, and each subscription is told`, () => {
    const talk = live();
    const effects = talk.lose(code, "words");
    assert.deepEqual(kinds(effects), ["end", "state"]);
    const why = code === 1000 ? null : { code: "closed", message: `the server closed for good: ${code} words`, detail: "words", close: code };
    assert.deepEqual(effects[0], { do: "end", sessionId: "s", watcher: "w", error: why });
    assert.deepEqual(effects[1].change, { state: "closed", code, reason: "words" });
    assert.equal(talk.protocol.deadline, Infinity);
    assert.deepEqual(talk.subscribe("t"), [{ do: "end", sessionId: "t", watcher: "w", error: why }]);
  });
}

test("waits lie between the floor and what doubles up to the ceiling", () => {
  const waits = (random) => {
    const talk = new Talk({ floor: 100, first: 200, ceiling: 1_000, random: () => random });
    talk.connect();
    return [1, 2, 3, 4, 5, 6].map(() => {
      const { retryIn } = talk.lose().at(-1).change;
      talk.now = talk.protocol.deadline;
      talk.protocol.tick(talk.now);
      return retryIn;
    });
  };
  assert.deepEqual(waits(0), [100, 100, 100, 100, 100, 100]);
  assert.deepEqual(waits(0.5), [150, 250, 450, 550, 550, 550]);
  assert.ok(waits(0.999999).every((wait) => wait <= 1_000));
});

test("a server that says when to return is believed, and then there is chance as well", () => {
  const wait = (code, reason) => live(undefined, { floor: 500, first: 1_000, random: () => 0.5 }).lose(code, reason).at(-1).change.retryIn;
  assert.equal(wait(1012, "retry-after=7.5"), 7_500 + 750);
  assert.equal(wait(1001, "retry-after=0"), 750);
  for (const nonsense of ["", "retry-after=soon", "retry-after=-1", "retry-after=Infinity", "xretry-after=3"]) {
    assert.equal(wait(1012, nonsense), 750, nonsense);
  }
  assert.equal(wait(1013, "retry-after=7"), 750);
});

test("a stopped client does nothing any more", () => {
  const talk = live();
  assert.deepEqual(kinds(talk.protocol.stop()), ["end", "drop", "state"]);
  assert.deepEqual(talk.protocol.stop(), []);
  assert.deepEqual(talk.lose(), []);
  assert.equal(talk.protocol.state, "closed");
  assert.equal(talk.protocol.deadline, Infinity);
});

test("a connection that is not made in time is made anew", () => {
  const talk = new Talk({ patience: 1_000 });
  talk.protocol.start(0);
  assert.equal(talk.protocol.deadline, 1_000);
  const effects = talk.protocol.tick(1_000);
  assert.deepEqual(kinds(effects), ["drop", "state"]);
  assert.equal(effects[1].change.state, "reconnecting");
});

// -- liveness ----------------------------------------------------------------------------------------------------

test("pings are answered with their nonce", () => {
  const talk = live();
  assert.deepEqual(talk.sent(talk.hear({ ping: { nonce: "7" } })), [{ pong: { nonce: "7" } }]);
  assert.deepEqual(talk.sent(talk.hear({ ping: {} })), [{ pong: {} }]);
});

test("a silent server is pinged, and left when it stays silent", () => {
  const talk = live(undefined, { heartbeat: 1_000, patience: 300 });
  talk.now = talk.protocol.deadline;
  assert.equal(talk.now, 1_000);
  assert.deepEqual(talk.sent(talk.protocol.tick(talk.now)), [{ ping: { nonce: "1" } }]);
  assert.deepEqual(talk.protocol.tick(talk.now), []);
  assert.equal(talk.protocol.deadline, 1_300);
  talk.now = 1_299;
  talk.hear({ pong: {} });
  assert.equal(talk.protocol.deadline, 2_299);
  talk.protocol.tick((talk.now = 2_299));
  assert.deepEqual(kinds(talk.protocol.tick((talk.now = 2_599))), ["drop", "state"]);
});

// -- doubts ------------------------------------------------------------------------------------------------------

const pings = (talk, effects) => talk.sent(effects).filter(({ ping }) => ping).length;

test("a wait is cut short, and the waits begin anew", () => {
  const talk = new Talk({ floor: 100, first: 200, ceiling: 10_000, random: () => 1 });
  talk.connect();
  const waits = [];
  for (let times = 0; times < 4; times++) {
    waits.push(talk.lose().at(-1).change.retryIn);
    talk.protocol.tick((talk.now = talk.protocol.deadline));
  }
  assert.deepEqual(waits, [200, 400, 800, 1_600]);
  talk.lose();
  assert.deepEqual(kinds(talk.protocol.hurry(talk.now)), ["open"]);
  assert.equal(talk.lose().at(-1).change.retryIn, 200);
});

test("a silent connection that somebody doubts is pinged, and left when nothing is heard for some seconds", () => {
  const talk = live();
  talk.now = 10_000;
  assert.equal(pings(talk, talk.protocol.hurry(talk.now)), 1);
  assert.equal(talk.protocol.state, "live");
  assert.deepEqual(kinds(talk.protocol.tick(14_999)), []);
  assert.deepEqual(kinds(talk.protocol.tick(15_000)), ["drop", "state"]);
});

test("doubts again do not give it longer, and an answer ends them", () => {
  const talk = live(undefined, { hurryPatience: 300 });
  talk.now = 5_000;
  assert.equal(pings(talk, talk.protocol.hurry(5_000)), 1);
  assert.deepEqual(talk.protocol.hurry(5_200), []);
  assert.equal(talk.protocol.deadline, 5_300);
  talk.now = 5_299;
  talk.hear({ pong: {} });
  assert.equal(talk.protocol.deadline, 35_299);
  assert.deepEqual(talk.protocol.hurry(6_299), [], "it said something a second ago");
  assert.equal(pings(talk, talk.protocol.hurry(6_300)), 1);
});

test("a ping that is open already is given no more than that", () => {
  const talk = live();
  talk.protocol.tick(30_000);
  assert.equal(talk.protocol.deadline, 50_000);
  talk.protocol.hurry(40_000);
  assert.equal(talk.protocol.deadline, 45_000);
  const other = live();
  other.protocol.tick(30_000);
  assert.equal(pings(other, other.protocol.hurry(46_000)), 1);
  assert.equal(other.protocol.deadline, 50_000, "which is less");
});

test("an attempt that somebody doubts is given some seconds more", () => {
  const talk = new Talk();
  talk.protocol.start(0);
  assert.deepEqual(talk.protocol.hurry(2_000), []);
  assert.deepEqual(talk.protocol.hurry(6_000), []);
  assert.deepEqual(kinds(talk.protocol.tick(7_000)), ["drop", "state"]);
  const made = new Talk();
  made.protocol.start(0);
  made.protocol.hurry(0);
  made.protocol.opened(4_999);
  assert.equal(made.protocol.deadline, 34_999);
});

for (let seed = 1; seed <= 200; seed++) {
  test(`a dead connection is found out within seconds of the first doubt, a live one never: ${seed}`, () => {
    const draw = seeded(seed);
    const hurryPatience = 1 + draw(9_000);
    const talk = live(undefined, { heartbeat: 1 + draw(40_000), patience: 1 + draw(40_000), hurryPatience });
    const dies = draw(60_000);
    let foundBy = Infinity;
    while (talk.protocol.state === "live") {
      talk.now = Math.min(talk.protocol.deadline, talk.now + draw(3_000));
      const doubted = draw(3) === 0;
      if (doubted && talk.now - talk.heardAt > 1_000) foundBy = Math.min(foundBy, talk.now + hurryPatience);
      const effects = doubted ? talk.protocol.hurry(talk.now) : talk.protocol.tick(talk.now);
      if (talk.now >= dies) continue;
      assert.equal(talk.protocol.state, "live");
      if (!pings(talk, effects)) continue;
      talk.hear({ pong: {} });
      foundBy = Infinity;
    }
    assert.ok(talk.now <= foundBy, `left at ${talk.now}, and not by ${foundBy}`);
  });
}

// -- errors ------------------------------------------------------------------------------------------------------

const failed = (code, sessionId = "s") => ({ error: { code, message: "words", ...(sessionId && { sessionId }) } });

for (const code of ["unauthorized", "too_many_subscriptions", "protocol_error", "bad_client_frame", "something_new"]) {
  test(`${code} ends the subscription it is about`, () => {
    const talk = live();
    const [told] = talk.hear(failed(code));
    assert.deepEqual(told, { do: "end", sessionId: "s", watcher: "w", error: { code, message: "words", sessionId: "s", detail: "" } });
    talk.lose();
    assert.deepEqual(talk.reconnect(), []);
  });
}

test("an error that is about no subscription ends none", () => {
  const talk = live();
  for (const error of [failed("protocol_error", ""), failed("unauthorized", "t"), failed("bad_client_frame", "")]) {
    assert.deepEqual(kinds(talk.hear(error)), ["error"]);
  }
  assert.deepEqual(kinds(talk.hear(event(1))), ["event"]);
});

test("a snapshot that failed is asked for again, later each time", () => {
  const talk = live(snapshot(5, [], { epoch: "7" }), { random: () => 1 });
  talk.hear(failed("snapshot_failed"));
  assert.equal(talk.protocol.deadline, 2_000);
  const again = { sessionId: "s", delta: true, sinceSnapshotOrdinal: "5", epoch: "7" };
  assert.deepEqual(talk.sent(talk.protocol.tick(2_000)), [{ subscribe: again }]);
  talk.now = 2_000;
  talk.hear(failed("snapshot_failed"));
  assert.equal(talk.protocol.deadline, 6_000);
  assert.deepEqual(talk.sent(talk.protocol.tick((talk.now = 6_000))), [{ subscribe: again }]);
  talk.hear(snapshot(6));
  assert.equal(talk.protocol.deadline, 36_000);
});

test("what was said too fast is said again after a second: what has not been answered", () => {
  const talk = live();
  talk.subscribe("t");
  talk.subscribe("u");
  talk.unsubscribe("u");
  talk.subscribe("v");
  talk.unsubscribe("v");
  talk.hear({ unsubscribed: { sessionId: "v" } });
  talk.hear(failed("rate_limited", ""));
  assert.equal(talk.protocol.deadline, 1_000);
  assert.deepEqual(talk.sent(talk.protocol.tick(1_000)), [
    { unsubscribe: { sessionId: "u" } },
    { subscribe: { sessionId: "t", delta: true } },
  ]);
  assert.notEqual(talk.protocol.deadline, 1_000);
});

const about = (fields) => JSON.stringify({ snapshot: { sessionId: "s", ...fields } });
for (const nonsense of [
  "", "{", "[]", "7", "null", '{"hello":[]}', '{"hello":{},"pong":{}}', '{"snapshot":{}}', '{"uiEvent":{"sessionId":5}}',
  about({ entities: {} }), about({ entities: [null] }), about({ entities: [{ payload: 1 }] }), about({ epoch: "1.5" }),
  about({ snapshotOrdinal: "-1" }), about({ snapshotOrdinal: 2 ** 60 }), about({ since: String(2n ** 64n) }), new ArrayBuffer(2),
]) {
  test(`a server that says ${typeof nonsense === "string" ? nonsense || "nothing" : "bytes"} is left, and tried again`, () => {
    const talk = live();
    const effects = talk.protocol.received(nonsense, 0);
    assert.deepEqual(kinds(effects), ["error", "drop", "state"]);
    assert.equal(effects[0].error.code, "bad_server_frame");
    assert.equal(effects[2].change.state, "reconnecting");
  });
}

test("what a newer server adds is ignored", () => {
  const talk = live();
  assert.deepEqual(talk.hear({ news: { of: "tomorrow" } }), []);
  assert.deepEqual(talk.hear({}), []);
  assert.deepEqual(talk.hear({ snapshot: null, toString: 1 }), []);
  assert.deepEqual(kinds(talk.hear({ uiEvent: { ...event(1).uiEvent, extra: 1 } })), ["event"]);
});

// -- subscriptions -----------------------------------------------------------------------------------------------

test("unsubscribing says so, and forgets what was held", () => {
  const talk = live(snapshot(5, [entity("a", 1)], { epoch: "77" }));
  assert.deepEqual(talk.say("unsubscribe", "s"), [{ unsubscribe: { sessionId: "s" } }]);
  assert.deepEqual(talk.say("unsubscribe", "s"), []);
  assert.deepEqual(talk.hear(event(6)), []);
  assert.deepEqual(talk.say("subscribe", "s"), [], "not before the answer");
  assert.deepEqual(talk.sent(talk.hear({ unsubscribed: { sessionId: "s" } })), [{ subscribe: { sessionId: "s", delta: true } }]);
});

test("wrong arguments are refused by name", () => {
  const talk = live();
  assert.throws(() => talk.subscribe(""), /session id/);
  assert.throws(() => talk.subscribe(7), /session id/);
  assert.throws(() => new Protocol({ floor: 0 }), /floor/);
  assert.throws(() => new Protocol({ heartbeat: "1" }), /heartbeat/);
  assert.throws(() => new Protocol({ floor: 10, ceiling: 5 }), /rise/);
});
