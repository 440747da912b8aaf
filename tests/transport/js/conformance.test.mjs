/** The scripts of sessionstream/transport/ws/conformance/client.json; its README says what the steps mean. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Protocol } from "../../../sessionstream/transport/ws/static/sessionstream.js";

const { format, settings, scripts } = JSON.parse(
  readFileSync(new URL("../../../sessionstream/transport/ws/conformance/client.json", import.meta.url), "utf8"),
);
const { hurry, ...times } = settings;
const inMilliseconds = Object.fromEntries(
  Object.entries({ ...times, hurryPatience: hurry }).map(([name, seconds]) => [name, seconds * 1_000]),
);

/** Plays server, user and network to one protocol. */
class Runner {
  now = 0;
  done = []; // what the client did and no step has expected yet
  due = false; // whether a wait is over
  known = {}; // the values of "$name"
  state = { state: "connecting" };

  constructor(random, { asksAnew }) {
    this.protocol = new Protocol({ ...inMilliseconds, random, asksAnew });
    this.take(this.protocol.start(this.now));
  }

  take(effects) {
    for (const effect of effects) {
      this.done.push(...told(effect));
      if (effect.do === "state") this.state = effect.change;
    }
  }

  step(step) {
    const [what] = Object.keys(step);
    if (what === "state") {
      assert.deepEqual({ ...this.state, ...step.state }, this.state);
    } else if (this[what]) {
      assert.deepEqual(this.done, [], `before ${what}`);
      this[what](step[what]);
    } else if (what === "waits") {
      const [least, most] = step.waits;
      const waited = (this.protocol.deadline - this.now) / 1_000;
      assert.ok(least <= waited && waited <= most, `it waits ${waited} seconds`);
      this.now = this.protocol.deadline;
      this.due = true; // at the next expectation: the user may do something first
    } else if (what === "ends") {
      const found = this.done.findIndex((each) => equal(each, step));
      assert.ok(found >= 0, `${JSON.stringify(step)} is not in ${JSON.stringify(this.done)}`);
      this.done.splice(found, 1);
    } else {
      this.expect(step);
    }
  }

  expect(step) {
    if (this.due) this.pass(0);
    this.due = false;
    const came = this.done.shift();
    assert.ok(came, `nothing came where ${JSON.stringify(step)} was expected`);
    assert.deepEqual(came, this.bound(step, came));
  }

  /** A step with its "*" and "$name" replaced by what came. */
  bound(expected, came) {
    if (expected === "*" && typeof came === "string" && came) return came;
    if (typeof expected === "string" && expected.startsWith("$")) return (this.known[expected] ??= came);
    if (typeof expected !== "object" || expected === null) return expected;
    if (Array.isArray(expected)) return expected.map((each, index) => this.bound(each, came?.[index]));
    return Object.fromEntries(Object.entries(expected).map(([name, value]) => [name, this.bound(value, came?.[name])]));
  }

  pass(seconds) {
    this.now += seconds * 1_000; // at once: what falls due in between is noticed at the end of it
    while (this.protocol.deadline <= this.now) this.take(this.protocol.tick(this.now));
  }

  // -- what a runner does ----------------------------------------------------------------------------------------

  user({ subscribe, unsubscribe, as, reconnect, close }) {
    if (subscribe) this.take(this.protocol.subscribe(subscribe, as, this.now));
    if (unsubscribe) this.take(this.protocol.unsubscribe(unsubscribe, as, this.now));
    if (reconnect) this.take(this.protocol.hurry(this.now));
    if (close) this.take(this.protocol.stop());
  }

  accept() {
    this.take(this.protocol.opened(this.now));
  }

  refuse({ status }) {
    this.take(this.protocol.refused(status, "", this.now));
  }

  unreachable() {
    this.take(this.protocol.closed(1006, "", this.now));
  }

  server(frame) {
    this.raw(JSON.stringify(this.bound(frame)));
  }

  raw(text) {
    this.take(this.protocol.received(text, this.now));
  }

  binary(text) {
    this.take(this.protocol.received(new TextEncoder().encode(text).buffer, this.now));
  }

  closes({ code, reason }) {
    this.take(this.protocol.closed(code, reason, this.now));
  }

  drops() {
    this.closes({ code: 1006, reason: "" });
  }

  time(seconds) {
    this.pass(seconds);
  }
}

/** What the client did, in the words of the scripts. */
function told(effect) {
  const { sessionId: session, watcher } = effect;
  const whose = { session, ...(watcher && { as: watcher }) };
  switch (effect.do) {
    case "open":
      return [{ connects: true }];
    case "send":
      return [{ client: JSON.parse(effect.text) }];
    case "drop":
      return [{ hangsUp: true }];
    case "snapshot":
      return [{ update: { ...whose, snapshot: written(effect.snapshot, ["ordinal", "entities"]) } }];
    case "event":
      return [{ update: { ...whose, event: written(effect.event, ["ordinal", "name", "payload"]) } }];
    case "end":
      return [{ ends: { ...whose, because: because(effect.error) } }];
    default:
      return []; // the scripts do not look at states, nor at errors that end nothing
  }
}

function because(error) {
  if (error?.status) return { status: error.status };
  if (error?.close) return { close: error.close };
  return error && { error: error.code };
}

function written(value, names) {
  const text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part));
  return Object.fromEntries(names.map((name) => [name, JSON.parse(text)[name]]));
}

function equal(a, b) {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

assert.equal(format, 1);
for (const { name, steps, settings: own = {} } of scripts) {
  // A browser is told nothing about a handshake that was refused; the status comes from whoever knows the credentials.
  const skip = steps.some(({ refuse }) => refuse?.retryAfter) && "needs the headers of a handshake";
  for (const random of [() => 0, () => 0.999999, Math.random]) {
    test(name, { skip }, () => {
      const runner = new Runner(random, own);
      for (const [number, step] of steps.entries()) {
        try {
          runner.step(step);
        } catch (error) {
          error.message = `step ${number + 1}, ${JSON.stringify(step)}: ${error.message}`;
          throw error;
        }
      }
      assert.deepEqual(runner.done, [], "at the end");
    });
  }
}
