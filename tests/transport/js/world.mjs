/** A client and a server on a network that takes its time, without sockets: time passes when nothing else is to do. */
import assert from "node:assert/strict";

import { Protocol } from "../../../sessionstream/transport/ws/static/sessionstream.js";
import { entity, seeded } from "./talk.mjs";

/** What the server allows; as a real one, with numbers of its own. */
const GENEROUS = { burst: 200, rate: 50, subscriptions: 100, tells: true, carriesOut: true };

/** The server's end of one connection. */
class Connection {
  subscriptions = new Map(); // session id → whether it was sent its snapshot
  refused = 0; // in a row
  frames = 0;

  constructor(world) {
    this.world = world;
    this.left = world.limits.burst;
    this.filledAt = world.now;
    this.say({ hello: { connectionId: "c" } });
  }

  say(frame) {
    const { world } = this;
    world.down(() => world.connection === this && world.take(world.protocol.received(JSON.stringify(frame), world.now)));
  }

  allowed() {
    const { burst, rate } = this.world.limits;
    this.left = Math.min(burst, this.left + ((this.world.now - this.filledAt) * rate) / 1_000);
    this.filledAt = this.world.now;
    if (this.left < 1) return false;
    this.left -= 1;
    return true;
  }

  hear({ subscribe, unsubscribe, ping }) {
    const { limits } = this.world;
    this.frames += 1;
    const carriedOut = limits.carriesOut && unsubscribe && this.subscriptions.has(unsubscribe.sessionId);
    if (!this.allowed() && !carriedOut) {
      this.refused += 1;
      this.world.refusals += 1;
      if (this.refused >= limits.burst) return this.world.close(1008, "too many frames");
      return this.say({ error: { code: "rate_limited", message: "slower" } });
    }
    this.refused = 0;
    if (subscribe) this.subscribe(subscribe);
    if (unsubscribe) {
      this.subscriptions.delete(unsubscribe.sessionId);
      this.say({ unsubscribed: unsubscribe });
    }
    if (ping) this.say({ pong: ping });
  }

  subscribe(request) {
    const { world, subscriptions } = this;
    const { sessionId } = request;
    if (!subscriptions.has(sessionId) && subscriptions.size >= world.limits.subscriptions) {
      world.refusals += 1;
      return this.say({ error: { code: "too_many_subscriptions", message: "no", sessionId } });
    }
    const loading = {};
    subscriptions.set(sessionId, loading);
    world.later(world.draw(30), () => {
      if (world.connection !== this || subscriptions.get(sessionId) !== loading) return;
      subscriptions.set(sessionId, true);
      this.snapshot(sessionId, request);
      const { burst, rate, subscriptions: most, tells } = world.limits;
      const budget = tells && { budget: { framesBurst: burst, framesPerSecond: rate, subscriptions: most } };
      this.say({ subscribed: { sessionId, ...budget } });
    });
  }

  snapshot(sessionId, { sinceSnapshotOrdinal = 0, epoch = 0 } = {}) {
    const session = this.world.session(sessionId);
    const since = Number(epoch) === session.epoch ? Number(sinceSnapshotOrdinal) : 0;
    const entities = [...session.entities].filter(([, last]) => last > since).map(([id, last]) => entity(id, 1, last));
    const snapshot = { sessionId, snapshotOrdinal: String(session.ordinal), epoch: String(session.epoch), entities };
    this.say({ snapshot: { ...snapshot, ...(since && { since: String(since) }) } });
  }
}

/** Somebody who watches a session, changes what it is given, and complains about what it is not. */
class Watcher {
  ordinal = null;
  ended = null;

  constructor(world, sessionId) {
    Object.assign(this, { world, sessionId });
  }

  take(effect) {
    switch (effect.do) {
      case "snapshot": {
        const { ordinal, entities } = effect.snapshot;
        this.entities = new Map(entities.map(({ id, lastEventOrdinal }) => [id, Number(lastEventOrdinal)]));
        this.ordinal = Number(ordinal);
        for (const each of entities.splice(0)) this.mine(each);
        break;
      }
      case "event": {
        const { ordinal, payload } = effect.event;
        assert.equal(Number(ordinal), this.ordinal + 1, `${this.sessionId}: an event after ${this.ordinal}`);
        this.ordinal += 1;
        this.entities.set(payload.id, this.ordinal);
        this.mine(effect.event);
        break;
      }
      case "end":
        this.ended = effect.error;
    }
  }

  /** Leave a mark on what is given, and expect none. */
  mine(given) {
    assert.equal(given.payload.mark, undefined, "it was given to somebody else too");
    given.payload.mark = "mine";
  }
}

export class World {
  now = 0;
  connection = null;
  refusals = 0; // of single frames
  closes = [];
  watchers = new Set();
  #sessions = new Map();
  #events = [];
  #arrives = { up: 0, down: 0 };

  constructor(seed, limits = {}, options = {}) {
    this.draw = seeded(seed);
    this.limits = { ...GENEROUS, ...limits };
    this.protocol = new Protocol({ random: () => this.draw(1_000) / 1_000, ...options });
    this.take(this.protocol.start(this.now));
  }

  session(sessionId) {
    if (!this.#sessions.has(sessionId)) this.#sessions.set(sessionId, { ordinal: 0, epoch: 1, entities: new Map() });
    return this.#sessions.get(sessionId);
  }

  // -- what people do ----------------------------------------------------------------------------------------------

  join(sessionId) {
    const watcher = new Watcher(this, sessionId);
    this.watchers.add(watcher);
    this.take(this.protocol.subscribe(sessionId, watcher, this.now));
    return watcher;
  }

  leave(watcher) {
    this.watchers.delete(watcher);
    this.take(this.protocol.unsubscribe(watcher.sessionId, watcher, this.now));
  }

  publish(sessionId, text = "") {
    const session = this.session(sessionId);
    session.ordinal += 1;
    const id = "abcdef"[this.draw(6)];
    session.entities.set(id, session.ordinal);
    if (this.connection?.subscriptions.get(sessionId) !== true) return;
    this.connection.say({ uiEvent: { sessionId, eventOrdinal: String(session.ordinal), name: "Put", payload: { id, text } } });
  }

  rebuild(sessionId) {
    this.session(sessionId).epoch += 1;
    if (this.connection?.subscriptions.get(sessionId) === true) this.connection.snapshot(sessionId);
  }

  lose() {
    this.close(1006, "");
  }

  /** Hold up what the client says: it arrives later, at once. */
  hold(milliseconds) {
    this.#arrives.up = Math.max(this.#arrives.up, this.now) + milliseconds;
  }

  // -- the network -------------------------------------------------------------------------------------------------

  take(effects) {
    for (const effect of effects) {
      switch (effect.do) {
        case "open":
          this.#opening();
          break;
        case "send": {
          const { connection } = this;
          assert.ok(connection, "nothing is sent without a connection");
          this.#travel("up", () => this.connection === connection && connection.hear(JSON.parse(effect.text)));
          break;
        }
        case "drop":
          this.connection = null;
          break;
        default:
          if (this.watchers.has(effect.watcher)) effect.watcher.take(effect);
      }
    }
  }

  down(arrive) {
    this.#travel("down", arrive);
  }

  close(code, reason) {
    const { connection } = this;
    if (!connection) return;
    this.closes.push(code);
    this.down(() => {
      if (this.connection !== connection) return;
      this.connection = null;
      this.take(this.protocol.closed(code, reason, this.now));
    });
  }

  #opening() {
    this.down(() => {
      this.take(this.protocol.opened(this.now));
      this.connection = new Connection(this);
    });
  }

  /** Now and then much is held up for a while, and arrives at once. */
  #travel(way, arrive) {
    const takes = this.draw(50) ? this.draw(20) : this.draw(2_000);
    this.#arrives[way] = Math.max(this.#arrives[way], this.now + takes);
    this.#at(this.#arrives[way], arrive);
  }

  later(milliseconds, what) {
    this.#at(this.now + milliseconds, what);
  }

  #at(time, what) {
    const before = this.#events.findLastIndex((event) => event.time <= time); // in order of arrival
    this.#events.splice(before + 1, 0, { time, what });
  }

  /** Let so much time pass. */
  pass(milliseconds) {
    const end = this.now + milliseconds;
    for (;;) {
      const next = Math.min(this.#events[0]?.time ?? Infinity, Math.max(this.protocol.deadline, this.now));
      if (next > end) break;
      this.now = next;
      if (this.#events[0]?.time <= next) this.#events.shift().what();
      else this.take(this.protocol.tick(this.now));
    }
    this.now = end;
  }

  /** Who watches has what the server has, and the server has who watches. */
  check() {
    assert.equal(this.protocol.state, "live");
    for (const watcher of this.watchers) {
      assert.equal(watcher.ended, null);
      const session = this.session(watcher.sessionId);
      assert.equal(watcher.ordinal, session.ordinal, watcher.sessionId);
      assert.deepEqual([...watcher.entities].sort(), [...session.entities].sort(), watcher.sessionId);
    }
    const watched = new Set([...this.watchers].map(({ sessionId }) => sessionId));
    assert.deepEqual([...this.connection.subscriptions.keys()].sort(), [...watched].sort());
  }
}
