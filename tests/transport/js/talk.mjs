/** A protocol under test: time that is set, chance that is none, and what was to be done as lists. */
import { Protocol } from "../../../sessionstream/transport/ws/static/sessionstream.js";

export class Talk {
  now = 0;
  heardAt = 0;

  constructor(options = {}) {
    this.options = options;
    this.protocol = new Protocol({ random: () => 0, ...options });
  }

  /** Connect and hear the hello; return what was sent. */
  connect() {
    this.protocol.start(this.now);
    this.protocol.opened(this.now);
    return this.sent(this.hear({ hello: { connectionId: "c-1" } }));
  }

  /** Come back after a lost connection, when it is time; return what was sent. */
  reconnect() {
    this.now = this.protocol.deadline;
    const effects = this.protocol.tick(this.now);
    if (effects[0]?.do !== "open") throw new Error(`no reconnect but ${JSON.stringify(effects)}`);
    this.protocol.opened(this.now);
    return this.sent(this.hear({ hello: {} }));
  }

  hear(frame) {
    this.heardAt = this.now;
    return this.protocol.received(JSON.stringify(frame), this.now);
  }

  subscribe(sessionId, watcher = "w") {
    return this.protocol.subscribe(sessionId, watcher, this.now);
  }

  unsubscribe(sessionId, watcher = "w") {
    return this.protocol.unsubscribe(sessionId, watcher, this.now);
  }

  say(what, ...args) {
    return this.sent(this[what](...args));
  }

  lose(code = 1006, reason = "") {
    return this.protocol.closed(code, reason, this.now);
  }

  sent(effects) {
    return effects.filter((effect) => effect.do === "send").map((effect) => JSON.parse(effect.text));
  }
}

/** Chance that can be had again: a function of n that returns whole numbers from 0 up to n. */
export function seeded(seed) {
  return (n) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
}

/** An entity as a server writes it. */
export function entity(id, created, last = created, payload = { "@type": "type.googleapis.com/t.Thing", text: id }) {
  return { kind: "Thing", id, createdOrdinal: String(created), lastEventOrdinal: String(last), payload };
}

export function snapshot(ordinal, entities = [], more = {}) {
  return { snapshot: { sessionId: "s", ...(ordinal && { snapshotOrdinal: String(ordinal) }), entities, ...more } };
}

export function event(ordinal, name = "Said") {
  return { uiEvent: { sessionId: "s", eventOrdinal: String(ordinal), name } };
}

/** The ids of the entities of the only snapshot among some effects. */
export function ids(effects) {
  const [only, ...more] = effects.filter((effect) => effect.do === "snapshot");
  if (!only || more.length) throw new Error(`not one snapshot in ${effects.map((effect) => effect.do)}`);
  return only.snapshot.entities.map(({ id }) => id);
}
