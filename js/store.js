/**
 * Holds sessions for a user interface: entities that snapshots and the UI events EntityChanged and EntityDeleted change,
 * immutable, so that what did not change keeps its identity. Types are in store.d.ts.
 *
 *     const store = new Store(() => connect("/ws"), { commands: "/api" });
 *     const session = store.session("session-1");
 *     const stop = session.subscribe(() => show(session.entities("Message")));
 *     await session.command("Ask", { prompt: "Explain ordinals" });
 */
import { inTimelineOrder, readEntity } from "./sessionstream.js";

const BUFFER = 1_024; // updates; more than the client repeats for a subscription that begins late
const AFTER_ANSWER = 5_000; // milliseconds until an optimistic entity goes that no event has replaced

/** Thrown when a command fails: `status` 0 means that no answer was received, so that it may have run. */
export class CommandError extends Error {
  constructor(status, code, message, key) {
    super(message);
    Object.assign(this, { name: "CommandError", status, code, key });
  }
}

/** The sessions that one client watches, and how they send commands. */
export class Store {
  #client;
  #sessions = new Map();
  #options;

  constructor(client, options = {}) {
    if (!client?.subscribe && !client?.call) throw new TypeError("a store needs a client");
    this.#client = client;
    this.#options = options;
  }

  /** The client; it is made when it is first needed. */
  get client() {
    if (typeof this.#client === "function") this.#client = this.#client();
    return this.#client;
  }

  /** The session of this id: the same object, as long as somebody uses it. */
  session(sessionId) {
    let session = this.#sessions.get(sessionId);
    if (!session) {
      session = new Session(this, sessionId, this.#options.initial?.[sessionId]);
      this.#sessions.set(sessionId, session);
    }
    return session;
  }

  /** Send a command, and wait until its handler has returned. */
  async send(sessionId, name, payload = {}, { key = newKey(), signal } = {}) {
    const { commands, headers, fetch = globalThis.fetch } = this.#options;
    if (commands === undefined) throw new TypeError("a store needs the option commands");
    if (/[^ -~]/.test(key)) throw new RangeError(`the key "${key}" of a command is no ASCII text`);
    const url = `${String(commands).replace(/\/$/, "")}/sessions/${encodeURIComponent(sessionId)}/commands/${encodeURIComponent(name)}`;
    const more = typeof headers === "function" ? await headers() : headers;
    const body = JSON.stringify(payload, inProtobufJson);
    const request = { method: "POST", body, signal, headers: { "content-type": "application/json", "idempotency-key": key, ...more } };
    const answer = await fetch(url, request).catch((error) => {
      throw signal?.aborted ? signal.reason : new CommandError(0, "unreachable", error?.message ?? String(error), key);
    });
    if (answer.ok) return;
    const { error } = await answer.json().catch(() => ({}));
    throw new CommandError(answer.status, error?.code ?? "", error?.message ?? answer.statusText, key);
  }
}

/** One session: its state and its entities, from the first listener until a moment after the last. */
class Session {
  #store;
  #listeners = new Set();
  #subscription = null;
  #held = new Map(); // key → entity, as the server says
  #lists = new Map(); // kind, or undefined for all → { list, given }
  #layers = new Set(); // of { entities, ordinal }, which optimistic commands show until the server says more
  #shown = new Map(); // the lists with the layers
  #status = "loading";
  #ordinal = 0n;
  #epoch = 0n;
  #error = null;
  #state = null;
  #initial = new Map(); // kind, or undefined → list
  #initialState;

  constructor(store, sessionId, initial) {
    this.#store = store;
    this.sessionId = sessionId;
    if (initial) this.#replace(BigInt(initial.ordinal), BigInt(initial.epoch), initial.entities.map(readEntity));
    this.#initialState = this.state;
  }

  /** What is known now; the same object until something changes. */
  get state() {
    this.#state ??= Object.freeze({
      sessionId: this.sessionId,
      status: this.#status,
      ordinal: this.#ordinal,
      epoch: this.#epoch,
      entities: this.entities(),
      error: this.#error,
    });
    return this.#state;
  }

  /** What it began with, for rendering on a server and for the first rendering in the page. */
  get initialState() {
    return this.#initialState;
  }

  initialEntities(kind) {
    if (kind === undefined) return this.#initialState.entities;
    if (!this.#initial.has(kind)) this.#initial.set(kind, ofKind(this.#initialState.entities, kind));
    return this.#initial.get(kind);
  }

  /** The entities of a kind, or all, in timeline order; the same array until one of them changes. */
  entities(kind) {
    const { list } = this.#listOf(kind);
    if (!this.#layers.size) return this.#give(kind).list;
    if (!this.#shown.has(kind)) this.#shown.set(kind, this.#withLayers(list, kind));
    return this.#shown.get(kind);
  }

  entity(kind, id) {
    const key = keyOf({ kind, id });
    for (const { entities } of [...this.#layers].reverse()) if (entities.has(key)) return entities.get(key) ?? undefined;
    return this.#held.get(key);
  }

  /** Call a function after each change. The session is watched as long as there is such a function. */
  subscribe = (listener) => {
    const entry = { listener };
    this.#listeners.add(entry);
    this.#subscription ??= this.#store.client.subscribe(this.sessionId, {
      onSnapshot: ({ ordinal, epoch, entities }) => {
        this.#replace(ordinal, epoch, entities);
        this.#changed();
      },
      onEvent: (event) => this.#apply(event),
      onEnd: (error) => {
        this.#subscription = null;
        this.#status = "ended";
        this.#error = error;
        this.#changed();
      },
    });
    return () => {
      // A macrotask later: whoever subscribes again at once, as React does in StrictMode, keeps the subscription.
      if (this.#listeners.delete(entry) && !this.#listeners.size) setTimeout(() => this.#leave());
    };
  };

  /** Send a command. The optimistic entities are shown at once, until it fails or the server says more about them. */
  async command(name, payload = {}, { optimistic = [], ...options } = {}) {
    const layer = this.#layerOf(optimistic);
    try {
      await this.#store.send(this.sessionId, name, payload, options);
    } catch (error) {
      this.#drop(layer);
      throw error;
    }
    if (layer) setTimeout(() => this.#drop(layer), AFTER_ANSWER);
  }

  #leave() {
    if (this.#listeners.size) return;
    this.#subscription?.unsubscribe();
    this.#subscription = null;
  }

  #changed() {
    this.#state = null;
    for (const { listener } of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  // -- what the server says --------------------------------------------------------------------------------------

  /** Take a whole timeline. In one epoch, an entity whose last event is the same is the same, and stays the same object. */
  #replace(ordinal, epoch, entities) {
    const sameHistory = epoch !== 0n && epoch === this.#epoch;
    const held = new Map();
    for (const entity of entities) {
      const key = keyOf(entity);
      const before = sameHistory ? this.#held.get(key) : undefined;
      held.set(key, before?.lastEventOrdinal === entity.lastEventOrdinal ? before : entity);
    }
    this.#held = held;
    this.#status = "ready";
    this.#ordinal = ordinal;
    this.#epoch = epoch;
    this.#error = null;
    const all = [...held.values()];
    for (const [kind, entry] of this.#lists) {
      const list = kind === undefined ? all : ofKind(all, kind);
      if (!sameItems(list, entry.list)) this.#lists.set(kind, { list, given: false });
    }
    for (const layer of this.#layers) if (ordinal > layer.ordinal) this.#layers.delete(layer);
    this.#shown.clear();
  }

  #apply({ ordinal, name, payload }) {
    this.#ordinal = ordinal;
    if (name === "EntityChanged") this.#put(readEntity(payload));
    else if (name === "EntityDeleted") this.#remove(keyOf({ kind: payload.kind, id: payload.id }));
    this.#changed();
  }

  #put(entity) {
    const key = keyOf(entity);
    const before = this.#held.get(key);
    this.#held.set(key, entity);
    this.#uncover(key);
    for (const list of this.#toChange(entity.kind)) {
      const at = before ? placeOf(list, before) : -1;
      const stays = at >= 0 && !(inTimelineOrder(list[at - 1] ?? entity, entity) > 0) && !(inTimelineOrder(entity, list[at + 1] ?? entity) > 0);
      if (stays) list[at] = entity;
      else {
        if (at >= 0) list.splice(at, 1);
        list.splice(placeOf(list, entity), 0, entity);
      }
    }
  }

  #remove(key) {
    const before = this.#held.get(key);
    this.#uncover(key);
    if (!before) return;
    this.#held.delete(key);
    for (const list of this.#toChange(before.kind)) list.splice(placeOf(list, before), 1);
  }

  // -- lists -----------------------------------------------------------------------------------------------------

  #listOf(kind) {
    let entry = this.#lists.get(kind);
    if (!entry) {
      const list = [...this.#held.values()].filter((entity) => kind === undefined || entity.kind === kind).sort(inTimelineOrder);
      this.#lists.set(kind, (entry = { list, given: false }));
    }
    return entry;
  }

  #give(kind) {
    const entry = this.#listOf(kind);
    entry.given = true;
    return entry;
  }

  /** The lists that hold a kind, to be changed: copied once, if somebody was given them since the last copy. */
  #toChange(kind) {
    const lists = [];
    for (const each of [kind, undefined]) {
      const entry = this.#lists.get(each);
      if (entry?.given) Object.assign(entry, { list: entry.list.slice(), given: false });
      if (entry) lists.push(entry.list);
    }
    if (this.#layers.size || this.#shown.size) this.#shown.clear();
    return lists;
  }

  // -- optimistic entities ---------------------------------------------------------------------------------------

  #layerOf(optimistic) {
    if (!optimistic.length) return null;
    const ordinal = this.#ordinal + 1n;
    const entities = new Map();
    for (const { kind, id, payload } of optimistic) {
      const before = this.entity(kind, id);
      const entity = { kind, id, createdOrdinal: before?.createdOrdinal ?? ordinal, lastEventOrdinal: ordinal };
      entities.set(keyOf({ kind, id }), payload === null ? null : Object.assign(readEntity(jsonOf({ ...entity, payload })), { pending: true }));
    }
    const layer = { entities, ordinal: this.#ordinal };
    this.#layers.add(layer);
    this.#shown.clear();
    this.#changed();
    return layer;
  }

  #drop(layer) {
    if (!this.#layers.delete(layer)) return;
    this.#shown.clear();
    this.#changed();
  }

  /** What the server says of an entity counts from now on. */
  #uncover(key) {
    for (const layer of this.#layers) {
      if (layer.entities.delete(key) && !layer.entities.size) this.#layers.delete(layer);
      this.#shown.clear();
    }
  }

  #withLayers(list, kind) {
    const merged = new Map(list.map((entity) => [keyOf(entity), entity]));
    for (const { entities } of this.#layers) {
      for (const [key, entity] of entities) {
        if (entity === null) merged.delete(key);
        else if (kind === undefined || entity.kind === kind) merged.set(key, entity);
      }
    }
    return [...merged.values()].sort(inTimelineOrder);
  }
}

/** Iterate over the updates of a session: `{snapshot}`, then an `{event}` for each live event, as they come. */
export async function* updates(client, sessionId, { signal } = {}) {
  const waiting = [];
  let subscription = null;
  let end; // { error }
  let wake = () => {};
  const push = (update) => {
    waiting.push(update);
    if (waiting.length > BUFFER) {
      // The reader is too slow: when it comes back, it begins with a snapshot.
      waiting.length = 0;
      subscription.unsubscribe();
      subscription = null;
    }
    wake();
  };
  const aborted = () => wake();
  signal?.addEventListener("abort", aborted);
  try {
    for (;;) {
      signal?.throwIfAborted();
      if (waiting.length) yield waiting.shift();
      else if (end?.error) throw Object.assign(new Error(end.error.message), { name: "SubscriptionEnded", ...end.error });
      else if (end) return;
      else {
        const woken = new Promise((resolve) => (wake = resolve));
        subscription ??= client.subscribe(sessionId, {
          onSnapshot: (snapshot) => push({ snapshot }),
          onEvent: (event) => push({ event }),
          onEnd: (error) => {
            end = { error };
            wake();
          },
        });
        await woken;
      }
    }
  } finally {
    signal?.removeEventListener("abort", aborted);
    subscription?.unsubscribe();
  }
}

/** The place of an entity in a sorted list, or where it has to be inserted. */
function placeOf(list, entity) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (inTimelineOrder(list[middle], entity) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function keyOf({ kind, id }) {
  return JSON.stringify([kind, id]);
}

function ofKind(entities, kind) {
  return entities.filter((entity) => entity.kind === kind);
}

function sameItems(a, b) {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

/** A replacer for JSON.stringify, which would write null for a number that JSON does not have. */
function inProtobufJson(name, value) {
  if (typeof value !== "number" || Number.isFinite(value)) return typeof value === "bigint" ? String(value) : value;
  throw new RangeError(`the field "${name}" of a command is ${value}, which is no JSON number; a float or double field takes "${value}" as text`);
}

function jsonOf(entity) {
  return { ...entity, createdOrdinal: String(entity.createdOrdinal), lastEventOrdinal: String(entity.lastEventOrdinal) };
}

/** A key that no other command has; crypto.randomUUID exists only in pages over https. */
function newKey() {
  return Array.from(globalThis.crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
