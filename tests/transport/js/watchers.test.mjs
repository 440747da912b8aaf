/** Several who watch one session share a subscription, and each has a life of its own. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { Talk, entity, event, ids, seeded, snapshot } from "./talk.mjs";
import { World } from "./world.mjs";

/** Connected, watched by "a", and given a snapshot. */
function watched(first = snapshot(5, [entity("x", 1)], { epoch: "7" })) {
  const talk = new Talk();
  talk.connect();
  talk.subscribe("s", "a");
  talk.hear(first);
  return talk;
}

/** Who was given what: ["a", "snapshot", 5], say. */
const given = (effects) =>
  effects
    .filter((effect) => effect.watcher !== undefined)
    .map(({ watcher, do: what, snapshot, event }) => [watcher, what, Number(snapshot?.ordinal ?? event?.ordinal)]);

for (let seed = 1; seed <= 60; seed++) {
  test(`each is given a snapshot at N, then exactly the events above N, whoever comes and goes: ${seed}`, () => {
    const draw = seeded(seed);
    const world = new World(seed);
    const sessions = ["s", "t"];
    for (let times = 0; times < 60; times++) {
      const sessionId = sessions[draw(2)];
      const somebody = [...world.watchers][draw(world.watchers.size || 1)];
      switch (draw(10)) {
        case 0:
        case 1:
        case 2:
          if (world.watchers.size < 6) world.join(sessionId);
          break;
        case 3:
        case 4:
          if (somebody) world.leave(somebody);
          break;
        case 5:
          for (let count = draw(300); count >= 0; count--) world.publish(sessionId);
          break;
        case 6:
          world.publish(sessionId, "x".repeat(draw(2 ** 20)));
          break;
        case 7:
          world.rebuild(sessionId);
          break;
        case 8:
          if (!draw(3)) world.lose();
          break;
        default:
          world.publish(sessionId);
      }
      world.pass(draw(4) ? draw(40) : draw(3_000));
    }
    world.pass(60_000);
    world.check();
    assert.equal(world.refusals, 0);
  });
}

test("one that comes later begins with what is held and the events since, and then hears what the others hear", () => {
  const talk = watched();
  talk.hear(event(6));
  const late = talk.subscribe("s", "b");
  assert.deepEqual(given(late), [["b", "snapshot", 5], ["b", "event", 6]]);
  assert.deepEqual(talk.sent(late), []);
  assert.deepEqual(given(talk.hear(event(7))), [["a", "event", 7], ["b", "event", 7]]);
});

test("one that comes before the snapshot waits for it with the others", () => {
  const talk = new Talk();
  talk.connect();
  assert.equal(talk.say("subscribe", "s", "a").length, 1);
  assert.deepEqual(talk.subscribe("s", "b"), []);
  assert.deepEqual(given(talk.hear(snapshot(5))), [["a", "snapshot", 5], ["b", "snapshot", 5]]);
});

for (const [why, fill] of [
  ["too many", (talk) => { for (let ordinal = 6; ordinal <= 262; ordinal++) talk.hear(event(ordinal)); }],
  ["too long", (talk) => { for (let ordinal = 6; ordinal <= 9; ordinal++) talk.hear(event(ordinal, "x".repeat(300_000))); }],
]) {
  test(`where the events since are ${why} to be kept, the server is asked for what changed, once, and all are given it`, () => {
    const talk = watched();
    fill(talk);
    const asked = { sessionId: "s", sinceSnapshotOrdinal: "5", delta: true, epoch: "7" };
    assert.deepEqual(talk.say("subscribe", "s", "b"), [{ subscribe: asked }]);
    assert.deepEqual(talk.say("subscribe", "s", "c"), []);
    assert.deepEqual(given(talk.hear(event(263))), [["a", "event", 263]], "who watches goes on hearing meanwhile");
    const effects = talk.hear(snapshot(263, [entity("y", 2, 6)], { epoch: "7", since: "5" }));
    assert.deepEqual(given(effects), [["a", "snapshot", 263], ["b", "snapshot", 263], ["c", "snapshot", 263]]);
    assert.deepEqual(ids(effects.slice(0, 1)), ["x", "y"]);
    assert.deepEqual(given(talk.subscribe("s", "d")), [["d", "snapshot", 263]]);
  });
}

test("256 events of together a million characters are kept", () => {
  const talk = watched();
  for (let ordinal = 6; ordinal <= 261; ordinal++) talk.hear(event(ordinal, "x".repeat(3_900)));
  assert.equal(given(talk.subscribe("s", "b")).length, 257);
});

test("the subscription ends when the last one leaves", () => {
  const talk = watched();
  talk.subscribe("s", "b");
  assert.deepEqual(talk.say("unsubscribe", "s", "a"), []);
  assert.deepEqual(talk.say("unsubscribe", "s", "a"), []);
  assert.deepEqual(given(talk.hear(event(6))), [["b", "event", 6]]);
  assert.deepEqual(talk.say("unsubscribe", "s", "b"), [{ unsubscribe: { sessionId: "s" } }]);
});

test("an error that ends it ends it for all, each with a reason of its own", () => {
  const talk = watched();
  talk.subscribe("s", "b");
  const effects = talk.hear({ error: { code: "unauthorized", message: "no", sessionId: "s" } });
  assert.deepEqual(effects.map(({ do: what, watcher, error }) => [what, watcher, error.code]), [
    ["end", "a", "unauthorized"],
    ["end", "b", "unauthorized"],
  ]);
  assert.notEqual(effects[0].error, effects[1].error);
  assert.deepEqual(talk.unsubscribe("s", "a"), []);
});

test("an error that passes is told to all who watch", () => {
  const talk = watched();
  talk.subscribe("s", "b");
  const effects = talk.hear({ error: { code: "snapshot_failed", message: "later", sessionId: "s" } });
  assert.deepEqual(effects.map(({ do: what, watcher }) => [what, watcher]), [["error", "a"], ["error", "b"]]);
});
