/** How fast a client speaks, and what it does when it spoke too fast: it is never sent away, and ends with what it wants. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { Talk, seeded, snapshot } from "./talk.mjs";
import { World } from "./world.mjs";

const VIEW = 31; // rows that are shown at the same time

/** A virtual list: scrolls by, and watches what is shown. */
class List {
  first = 0;
  #rows = new Map();

  constructor(world, view = VIEW) {
    Object.assign(this, { world, view });
    this.scroll(0);
  }

  /** Show the rows from another one on; what comes is there first, or what goes is gone first. */
  scroll(first) {
    this.first = first;
    if (this.world.draw(2)) this.#come();
    for (const [row, watcher] of this.#rows) {
      if (row >= first && row < first + this.view) continue;
      this.#rows.delete(row);
      this.world.leave(watcher);
    }
    this.#come();
  }

  #come() {
    for (let row = this.first; row < this.first + this.view; row++) {
      if (!this.#rows.has(row)) this.#rows.set(row, this.world.join(`row-${row}`));
    }
  }
}

const SERVERS = {
  "the default limits": {},
  "tight limits": { burst: 45, rate: 10, subscriptions: 35 },
  "no room to spare": { burst: 40, rate: 20, subscriptions: VIEW },
  "many subscriptions and few frames": { burst: 60, rate: 2, subscriptions: 1_000 },
  "the default limits and tells no budget": { tells: false, carriesOut: false },
  "the default limits, no room to spare, and tells no budget": { tells: false, carriesOut: false, subscriptions: VIEW },
};

for (const [limits, server] of Object.entries(SERVERS)) {
  for (const [how, every, rows] of [["at once", 0, 1], ["a row every 2 ms", 2, 1], ["7 rows every 30 ms", 30, 7]]) {
    for (let seed = 1; seed <= 2; seed++) {
      test(`300 rows scrolled past ${how}, on a server with ${limits}: ${seed}`, () => {
        const world = new World(seed, server);
        const list = new List(world);
        world.pass(seed % 2 ? 0 : 5_000); // before it is connected, and after
        for (let row = 0; row < 300; row += rows) {
          list.scroll(row);
          world.pass(every);
        }
        world.pass(120_000);
        world.check();
        assert.deepEqual(world.closes, []);
      });
    }
  }
}

for (let seed = 1; seed <= 30; seed++) {
  test(`whatever is wanted, on whatever server and network, is what there is in the end: ${seed}`, () => {
    const draw = seeded(seed);
    const subscriptions = 5 + draw(200);
    const tells = draw(4) > 0;
    const limits = tells ? { burst: subscriptions + 5 + draw(200), rate: 1 + draw(100), subscriptions, tells } : { tells, carriesOut: false };
    const world = new World(seed, limits);
    const list = new List(world, 1 + draw(Math.min(60, world.limits.subscriptions)));
    for (let times = 0; times < 200; times++) {
      list.scroll(draw(3) ? list.first + draw(5) : draw(300));
      world.pass(draw(3) ? draw(50) : draw(400));
      if (!draw(60)) world.lose();
      if (!draw(20)) world.publish(`row-${draw(300)}`);
    }
    world.pass(300_000);
    world.check();
    assert.ok(!world.closes.includes(1008));
  });
}

test("a client that keeps to the budget is refused nothing", () => {
  for (const limits of [{}, { burst: 45, rate: 10, subscriptions: 35 }, { subscriptions: VIEW }]) {
    const world = new World(1, limits);
    world.draw = (n) => (n === 2 ? 0 : 1); // a network without surprises, and rows that go before others come
    const list = new List(world);
    for (let row = 0; row < 300; row += 1) {
      list.scroll(row);
      world.pass(3);
    }
    world.pass(60_000);
    world.check();
    assert.equal(world.refusals, 0);
  }
});

for (const limits of [{}, { tells: false, carriesOut: false }, { burst: 45, rate: 10, subscriptions: 35 }]) {
  test(`what a network held up for half a minute and delivers at once is no attack, with ${JSON.stringify(limits)}`, () => {
    const world = new World(1, limits);
    const list = new List(world);
    world.pass(5_000);
    world.hold(25_000);
    for (let row = 0; row < 5_000; row += 1) {
      list.scroll(row);
      world.pass(5);
    }
    world.pass(600_000);
    world.check();
    assert.ok(!world.closes.includes(1008));
  });
}

test("more sessions than the server allows are refused, those that are too many, and only they", () => {
  const world = new World(1, { subscriptions: 10 });
  for (let row = 0; row < 13; row++) world.join(`row-${row}`);
  world.pass(60_000);
  const ended = [...world.watchers].filter((watcher) => watcher.ended);
  assert.deepEqual(ended.map((watcher) => watcher.ended.code), Array(3).fill("too_many_subscriptions"));
  ended.forEach((watcher) => world.watchers.delete(watcher));
  world.check();
});

// -- one frame at a time -----------------------------------------------------------------------------------------

const budget = (framesBurst, framesPerSecond, subscriptions = 100) => ({
  subscribed: { sessionId: "s", budget: { framesBurst, framesPerSecond, subscriptions } },
});
const told = (talk, sessionId) => talk.hear({ ...snapshot(0), snapshot: { sessionId } });

/** Connected, with a budget. */
function budgeted(...numbers) {
  const talk = new Talk();
  talk.connect();
  talk.subscribe("s");
  talk.hear(snapshot(0));
  talk.hear(budget(...numbers));
  return talk;
}

/** What is said when its time has come. */
function next(talk) {
  talk.now = talk.protocol.deadline;
  return talk.sent(talk.protocol.tick(talk.now));
}

test("a session that is live and wanted again before it could be left is not left, and shows what is held", () => {
  const talk = budgeted(1, 1);
  assert.deepEqual(talk.say("unsubscribe", "s"), []);
  assert.deepEqual(talk.hear({ uiEvent: { sessionId: "s", eventOrdinal: "1", name: "Said" } }), []);
  const effects = talk.subscribe("s", "again");
  assert.deepEqual(effects.map(({ do: what, watcher }) => [what, watcher]), [["snapshot", "again"], ["event", "again"]]);
  assert.equal(talk.protocol.deadline, 30_000, "there is nothing to be said");
});

test("one that waits for room is asked for when the one that was to be left is wanted again, and the server decides", () => {
  const talk = budgeted(200, 50, 1);
  talk.now = 10_000;
  for (let times = 0; times < 159; times++) talk.sent(talk.hear({ ping: { nonce: "n" } }));
  assert.deepEqual(talk.sent(talk.hear({ ping: {} })), [{ pong: {} }]);
  assert.deepEqual(talk.say("unsubscribe", "s"), [], "the budget is spent");
  assert.deepEqual(talk.say("subscribe", "t"), []);
  talk.subscribe("s", "again");
  assert.deepEqual(next(talk), [{ subscribe: { sessionId: "t", delta: true } }]);
  assert.equal(talk.hear({ error: { code: "too_many_subscriptions", sessionId: "t" } })[0].do, "end");
});

test("one that waits for room does so no longer than another is being left", () => {
  const talk = budgeted(1, 1, 0);
  talk.subscribe("t");
  assert.deepEqual(next(talk), [{ subscribe: { sessionId: "t", delta: true } }]);
  talk.unsubscribe("s");
  const full = { error: { code: "too_many_subscriptions", message: "no", sessionId: "t" } };
  assert.deepEqual(talk.hear(full), []);
  talk.subscribe("s", "again");
  assert.deepEqual(next(talk), [{ subscribe: { sessionId: "t", delta: true } }]);
  assert.equal(talk.hear(full)[0].do, "end");
});

test("of pings that could not be answered yet the last is, and before anything else is said", () => {
  const talk = budgeted(1, 1);
  talk.subscribe("t");
  for (const nonce of ["1", "2"]) assert.deepEqual(talk.sent(talk.hear({ ping: { nonce } })), []);
  assert.deepEqual(next(talk), [{ pong: { nonce: "2" } }]);
  assert.deepEqual(next(talk), [{ subscribe: { sessionId: "t", delta: true } }]);
});

test("a connection begins with the whole of the budget, and with none of the pings of the last one", () => {
  const talk = budgeted(3, 1);
  talk.subscribe("t");
  talk.hear({ ping: { nonce: "of the last" } });
  talk.lose();
  assert.deepEqual(talk.reconnect().map(({ subscribe }) => subscribe.sessionId), ["s", "t"]);
});

test("while the server wants a pause nothing is said, and little at once after it", () => {
  const talk = new Talk();
  talk.connect();
  for (let row = 0; row < 30; row++) talk.subscribe(`row-${row}`);
  talk.hear({ error: { code: "rate_limited", message: "slower" } });
  assert.deepEqual(talk.sent(talk.hear({ ping: {} })), []);
  assert.deepEqual(talk.sent(told(talk, "row-0")), []);
  talk.now = 500;
  talk.hear({ error: { code: "rate_limited", message: "slower" } });
  assert.equal(talk.protocol.deadline, 1_000);
  assert.equal(next(talk).length, 8);
});

test("a small budget that is told during a pause counts from its end, not what was said before it", () => {
  const talk = new Talk();
  talk.connect();
  for (let row = 0; row < 9; row++) talk.subscribe(`row-${row}`);
  talk.hear({ error: { code: "rate_limited", message: "slower" } });
  talk.hear({ snapshot: { sessionId: "row-0" } });
  talk.hear({ subscribed: { sessionId: "row-0", budget: { framesBurst: 5, framesPerSecond: 1 } } });
  const ends = talk.protocol.deadline;
  talk.now = ends;
  assert.equal(talk.sent(talk.protocol.tick(ends)).length, 4, "four fifths of it at once");
  assert.ok(talk.protocol.deadline <= ends + 1_250, "and then one after the other");
});

test("without a budget in its answer the limits of the server are the default ones, whatever the last one was", () => {
  const talk = budgeted(1, 1);
  talk.lose();
  talk.reconnect();
  talk.hear(snapshot(0));
  talk.hear({ subscribed: { sessionId: "s" } });
  for (let row = 0; row < 159; row++) assert.equal(talk.say("subscribe", `row-${row}`).length, 1);
  assert.equal(talk.say("subscribe", "row-159").length, 0);
});

for (const numbers of [{ framesBurst: "10", framesPerSecond: "2.5e0", subscriptions: "20" }, { framesBurst: 10, framesPerSecond: 2.5 }]) {
  test(`a budget may be written ${JSON.stringify(numbers)}`, () => {
    const talk = budgeted();
    talk.hear({ subscribed: { sessionId: "s", budget: numbers } });
    for (let row = 0; row < 7; row++) assert.equal(talk.say("subscribe", `row-${row}`).length, 1);
    talk.subscribe("late");
    assert.equal(next(talk).length, 1);
    assert.equal(Math.round(talk.now), 500);
  });
}

for (const nonsense of [
  7, [], { framesBurst: 1.5 }, { framesBurst: -1 }, { framesPerSecond: "fast" }, { framesPerSecond: "NaN" },
  { framesPerSecond: "Infinity" }, { framesPerSecond: true }, { framesPerSecond: [] }, { framesPerSecond: " " }, { subscriptions: {} },
]) {
  test(`a server whose budget is ${JSON.stringify(nonsense)} is left, and tried again`, () => {
    const effects = budgeted().hear({ subscribed: { sessionId: "s", budget: nonsense } });
    assert.deepEqual(effects.map(({ do: what }) => what), ["error", "drop", "state"]);
  });
}

test("a budget of nothing, or of nothing that is known, is none", () => {
  for (const none of [null, {}, { framesBurst: 0, framesPerSecond: 5 }, { framesBurst: 5, framesPerSecond: -1 }, { more: 1 }]) {
    const talk = new Talk();
    talk.connect();
    talk.subscribe("s");
    talk.hear(snapshot(0));
    assert.deepEqual(talk.hear({ subscribed: { sessionId: "s", budget: none } }), []);
    for (let row = 0; row < 100; row++) assert.equal(talk.say("subscribe", `row-${row}`).length, 1);
  }
});

test("a server that is as fast as can be is believed", () => {
  const talk = budgeted(4_294_967_295, 1e308, 4_294_967_295);
  for (let row = 0; row < 1_000; row++) assert.equal(talk.say("subscribe", `row-${row}`).length, 1);
});
