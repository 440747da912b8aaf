/**
 * Watches sessions over a WebSocket: a snapshot first, then every live event after it, across lost connections.
 *
 * No dependencies, no build step; browsers, and Node from version 20. Types are in sessionstream.d.ts.
 *
 *     const client = connect("/ws", { onState: ({ state }) => show(state) });
 *     const subscription = client.subscribe("session-1", {
 *       onSnapshot: ({ ordinal, entities }) => replaceAll(entities),
 *       onEvent: ({ ordinal, name, payload }) => apply(name, payload),
 *     });
 *
 * `Protocol` implements the protocol without I/O; `Client` connects it to a socket and a timer. Ordinals and epochs are
 * BigInts, because JavaScript numbers cannot hold them. Payloads are protobuf JSON, with their type under "@type". A
 * payload that the server cannot encode is a sessionstream.v1.UnreadablePayload with the reason.
 */

/** What follows a close, by code; after any other the connection counts as lost. */
const AFTER_CLOSE = {
  1000: "closed",
  1001: "reconnecting", // when told
  1008: "closed",
  1009: "closed",
  1012: "reconnecting",
  4401: "refused", // with the HTTP status 401, which browsers do not show
  4403: "refused",
};

const TIMES = { floor: 500, first: 2_000, ceiling: 30_000, heartbeat: 30_000, patience: 20_000, hurryPatience: 5_000 };
const QUIET = 1_000; // milliseconds; a connection that said something since then needs no ping to be called live
const AFTER_RATE_LIMIT = 1_000; // milliseconds, as the table of error codes says
const SURROUNDINGS = ["online", "offline", "pageshow", "visibilitychange"]; // events of a page
const LONGEST_TIMER = 2 ** 31 - 1; // what setTimeout can hold; beyond it, it fires at once
const SHARE = 0.8; // of a budget is used, because a network moves frames closer together than they were sent
const WINDOW = 8; // requests without an answer, before a budget is known; frames at once after the server said stop
const ROUNDING = 1e-3; // milliseconds, of sums of many times
const DEFAULT = { burst: 200, rate: 50, subscriptions: Infinity }; // the limits of a server that tells no budget
const REPLAY_EVENTS = 256;
const REPLAY_CHARACTERS = 2 ** 20;
const NO_ID = /[\0\p{Surrogate}]/u; // no store holds it; the server could not even say whose subscribe it refuses

/**
 * Thrown by a function for the URL or the sub-protocols: the application's own service refuses this client, with an
 * HTTP status.
 */
export class Refused extends Error {
  constructor(status, message = "") {
    super(message);
    if (!Number.isInteger(status)) throw new TypeError(`status has to be a whole number, not ${status}`);
    this.name = "Refused";
    this.status = status;
  }
}

/** Thrown for a message that is not a server frame, or a delta that does not fit the client's state. */
class FrameError extends TypeError {}

/**
 * The client's side of the protocol, without I/O and without a clock.
 *
 * Every method returns the effects to execute, in order, as objects with a member `do`: open, send, drop, state, snapshot,
 * event, error or end. The last four are for a `watcher`, a value by which the caller identifies it. `now` is the time in
 * milliseconds, on any monotonic clock; call `tick` when it has reached `deadline`.
 */
export class Protocol {
  #options;
  #subscriptions = new Map(); // session id → one that somebody watches, or that the server believes in
  #told = { asked: new Set(), live: new Set(), leaving: new Set() }; // subscriptions, by what the server was told
  #due = { unsubscribe: new Set(), subscribe: new Set() }; // the same by what it is to be told, in order
  #urgent = new Map(); // ping and pong, with their nonces: said before that
  #sayAt = Infinity; // when more can be said, if only time has to pass
  #budget = paceOf(DEFAULT); // of this connection or the last
  #budgetKnown = false; // whether a server has told it, or answered without
  #fullAt = 0; // when all of the budget will be there again, if nothing more is said
  #state = "connecting";
  #link = "none"; // opening; open: hello was not heard; ready
  #end = null; // once closed: what later subscriptions end with
  #plain = false; // this server is of before there were deltas
  #deltas = 0; // how often it was asked for one, on this connection
  #deltasRefused = 0;
  #attempts = 0; // in a row that led to no snapshot
  #refusals = 0; // of handshakes, in a row
  #retryAt = Infinity;
  #repeatAt = Infinity;
  #heardAt = Infinity;
  #goneAt = Infinity; // when it is given up, if nothing is heard: while it is being made, or a ping is open
  #doubted = false; // `hurry` was called, and nothing was heard since
  #pings = 0;
  #out = [];

  constructor({ asksAnew = false, refusal = (status) => mayPass(status, asksAnew), random = Math.random, ...given } = {}) {
    const times = { ...TIMES };
    for (const name in times) {
      const { [name]: value = times[name] } = given;
      if (!(typeof value === "number" && value > 0)) throw new RangeError(`${name} has to be a number above 0, not ${value}`);
      times[name] = value;
    }
    const { floor, first, ceiling } = times;
    if (!(floor <= first && first <= ceiling)) throw new RangeError(`floor, first, ceiling have to rise, not ${floor}, ${first}, ${ceiling}`);
    this.#options = { ...times, refusal, random };
  }

  /** connecting, live, reconnecting, refused, or closed. */
  get state() {
    return this.#state;
  }

  /** When to call `tick`; Infinity: not before another method was called. */
  get deadline() {
    return Math.min(this.#retryAt, this.#repeatAt, this.#silentAt, this.#sayAt);
  }

  /** When the silence of the server becomes too long. */
  get #silentAt() {
    return this.#goneAt === Infinity ? this.#heardAt + this.#options.heartbeat : this.#goneAt;
  }

  // -- calls of the application --------------------------------------------------------------------------------

  /** Connect. */
  start(now) {
    this.#open(now);
    return this.#done(now);
  }

  /** Watch a session. The watcher begins with the client's last snapshot, or with the next one. */
  subscribe(sessionId, watcher, now) {
    if (typeof sessionId !== "string" || !sessionId || NO_ID.test(sessionId)) {
      throw new TypeError(`a session id has to be text without NUL or lone surrogates, not ${JSON.stringify(sessionId)}`);
    }
    const subscription = this.#subscriptions.get(sessionId) ?? newSubscription(sessionId);
    this.#subscriptions.set(sessionId, subscription);
    subscription.watchers.set(watcher, false);
    if (this.#state === "closed") this.#finish(subscription, this.#end);
    else this.#catchUp(subscription, watcher);
    this.#settle(subscription);
    return this.#done(now);
  }

  /** Stop watching a session. */
  unsubscribe(sessionId, watcher, now) {
    const subscription = this.#subscriptions.get(sessionId);
    if (subscription?.watchers.delete(watcher)) this.#settle(subscription);
    return this.#done(now);
  }

  /**
   * Check the connection: connect now if the client waits; ping a silent connection, and close it, or an attempt in
   * progress, after a few seconds without an answer. Calling it again does not extend that time.
   */
  hurry(now) {
    if (this.#retryAt !== Infinity) {
      this.#attempts = 0;
      this.#open(now);
    } else if (!this.#doubted && now - this.#heardAt > QUIET) {
      this.#doubted = true;
      if (this.#link !== "opening") this.#ping();
      this.#goneAt = Math.min(this.#goneAt, now + this.#options.hurryPatience);
    }
    return this.#done(now);
  }

  /** Close the client permanently. */
  stop() {
    if (this.#state !== "closed") this.#close(null, {});
    return this.#done(0);
  }

  // -- events of the network -----------------------------------------------------------------------------------

  /** The socket is open. */
  opened(now) {
    this.#link = "open";
    this.#fullAt = now;
    this.#heard(now);
    return this.#done(now);
  }

  /** A message was received: the text of a server frame, or an invalid message. */
  received(text, now) {
    this.#heard(now);
    try {
      this.#answer(parse(text), text, now);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#report({ code: "bad_server_frame", message: error.message });
      this.#hangUp(error.message, now);
    }
    return this.#done(now);
  }

  /** The socket is closed, or could not be opened (1006). */
  closed(code, reason, now) {
    if (this.#link === "none") return this.#done(now);
    this.#disconnected();
    const next = AFTER_CLOSE[code];
    if (next === "refused") {
      this.#turnedAway({ status: code - 4_000, code, reason }, now);
    } else if (next !== "closed") {
      this.#comeBack("reconnecting", { code, reason }, now, next && retryAfter(reason));
    } else {
      const message = `the server closed for good: ${code} ${reason}`.trimEnd();
      const error = code === 1000 ? null : { code: "closed", message, detail: reason, close: code };
      this.#close(error, { code, reason });
    }
    return this.#done(now);
  }

  /** The handshake was refused, or would be, with an HTTP status. */
  refused(status, reason, now) {
    if (this.#link === "none") return this.#done(now);
    this.#disconnected();
    this.#turnedAway({ status, reason }, now);
    return this.#done(now);
  }

  /** Time has passed. */
  tick(now) {
    if (now >= this.#retryAt) this.#open(now);
    if (now >= this.#silentAt) this.#silence(now);
    if (now >= this.#repeatAt) this.#repeat();
    return this.#done(now);
  }

  // -- frames --------------------------------------------------------------------------------------------------

  #answer({ name, frame }, text, now) {
    switch (name) {
      case "hello":
        this.#link = "ready";
        this.#refusals = 0;
        return this.#enter("live");
      case "snapshot":
        return this.#snapshot(frame);
      case "uiEvent":
        return this.#event(frame, text);
      case "unsubscribed":
        return this.#unsubscribed(frame);
      case "error":
        return this.#error(frame, now);
      case "subscribed":
        return this.#learn(frame.budget, now);
      case "ping":
        return this.#urgent.set("pong", frame.nonce); // of several the last: it proves as much
    }
    // a pong has no further information, and frames that a newer server adds are ignored
  }

  #snapshot({ sessionId, ordinal, epoch, since, entities }) {
    const subscription = this.#subscriptions.get(sessionId);
    if (!inForce(subscription)) return;
    const held = subscription.held;
    if (since && !(held && held.epoch === epoch && since <= held.ordinal && held.ordinal <= ordinal)) {
      subscription.held = null;
      throw new FrameError(`a delta of ${sessionId} from ${since} to ${ordinal} does not fit what the client holds`);
    }
    const merged = since ? held.entities : new Map();
    for (const { tombstone, ...entity } of entities) {
      const key = JSON.stringify([entity.kind, entity.id]);
      merged.delete(key); // so that entities of one event stay in the order in which the server sorts them
      if (!tombstone) merged.set(key, entity);
    }
    const fresh = { told: "live", again: false, attempts: 0, last: ordinal, replay: [], replaySize: 0 };
    Object.assign(subscription, fresh, { held: { ordinal, epoch, entities: merged } });
    this.#attempts = 0;
    for (const watcher of subscription.watchers.keys()) this.#catchUp(subscription, watcher);
    this.#settle(subscription);
  }

  /** Give a watcher the last snapshot and the events since, if the client has all of them. */
  #catchUp({ sessionId, held, replay, watchers }, watcher) {
    if (!held || !replay) return;
    watchers.set(watcher, true);
    const { ordinal, epoch } = held;
    const entities = structuredClone([...held.entities.values()].sort(inOrdinalOrder)); // each watcher may change its own
    entities.forEach(writable);
    this.#out.push({ do: "snapshot", sessionId, watcher, snapshot: writable({ sessionId, ordinal, epoch, entities }) });
    for (const text of replay) this.#out.push({ do: "event", sessionId, watcher, event: writable(parse(text).frame) });
  }

  #event(event, text) {
    const { sessionId, ordinal } = event;
    const subscription = this.#subscriptions.get(sessionId);
    if (!subscription || subscription.last === null || ordinal <= subscription.held.ordinal) return;
    // One backend event may have several UI events: they share its ordinal, and are not repetitions.
    if (ordinal < subscription.last) return;
    subscription.last = ordinal;
    subscription.replaySize += text.length;
    if (subscription.replaySize > REPLAY_CHARACTERS || subscription.replay?.push(text) > REPLAY_EVENTS) subscription.replay = null;
    const watchers = [...subscription.watchers.keys()].filter((watcher) => subscription.watchers.get(watcher));
    for (const [index, watcher] of watchers.entries()) {
      this.#out.push({ do: "event", sessionId, watcher, event: writable(index ? structuredClone(event) : event) });
    }
  }

  #unsubscribed({ sessionId }) {
    const subscription = this.#subscriptions.get(sessionId);
    if (subscription?.told === "leaving") {
      Object.assign(subscription, { told: "", again: false });
      this.#settle(subscription);
      for (const each of this.#due.subscribe) each.crowded = false;
    } else if (subscription && subscription.last !== null) {
      this.#finish(subscription, { code: "unsubscribed", message: "the server ended the subscription", detail: "" });
    }
  }

  #error(error, now) {
    const { code, sessionId } = error;
    const subscription = this.#subscriptions.get(sessionId);
    if (code === "rate_limited") {
      this.#pause(now);
      this.#report(error);
    } else if (code === "bad_client_frame" && !sessionId) {
      this.#misunderstood(error);
    } else if (!subscription) {
      this.#report(error);
    } else if (!inForce(subscription)) {
      return; // it is about what was before
    } else if (code === "snapshot_failed") {
      Object.assign(subscription, { told: "", again: false, last: null, retryAt: now + this.#wait(subscription.attempts++) });
      this.#settle(subscription);
      this.#report(error, subscription);
    } else if (code === "too_many_subscriptions" && this.#leaving) {
      Object.assign(subscription, { told: "", again: false, crowded: true });
      this.#settle(subscription);
    } else {
      this.#finish(subscription, error);
    }
  }

  /** The server does not support deltas, so subscribe without them; if that also failed, report the error. */
  #misunderstood(error) {
    const asked = [...this.#told.asked];
    this.#deltasRefused += 1;
    if (this.#plain && this.#deltasRefused <= this.#deltas) return; // asked before the first was refused, and again since
    if (!asked.length) this.#report(error);
    else if (this.#plain) asked.forEach((subscription) => this.#finish(subscription, error));
    else {
      this.#plain = true;
      this.#sayAgain(asked);
    }
  }

  // -- requests to the server ----------------------------------------------------------------------------------

  /** Queue the frame that the server needs for a subscription, and delete a subscription that is no longer used. */
  #settle(subscription) {
    const { sessionId, told, watchers } = subscription;
    if (!told && !watchers.size) this.#subscriptions.delete(sessionId);
    putInto(this.#told, told, subscription);
    putInto(this.#due, whatIsMissing(subscription), subscription);
  }

  /** Whether an unsubscribe is queued or not yet answered: after it the server has room for another subscription. */
  get #leaving() {
    return this.#due.unsubscribe.size + this.#told.leaving.size > 0;
  }

  /** Send what the budget allows: pongs and pings first, then unsubscribes, then subscribes. */
  #sayDue(now) {
    this.#sayAt = Infinity;
    if (this.#link === "none" || this.#link === "opening" || this.#repeatAt !== Infinity) return;
    for (const [name, nonce] of this.#urgent) {
      if (!this.#spend(now)) return;
      this.#urgent.delete(name);
      this.#say({ [name]: nonce ? { nonce } : {} });
    }
    if (this.#link !== "ready") return;
    for (const subscription of this.#due.unsubscribe) {
      if (!this.#spend(now)) return;
      this.#leave(subscription);
    }
    if (this.#due.subscribe.size) this.#askDue(now);
  }

  #askDue(now) {
    const { asked, live, leaving } = this.#told;
    const window = this.#budgetKnown ? this.#budget.window : WINDOW;
    for (const subscription of this.#due.subscribe) {
      const { told, crowded, retryAt } = subscription;
      if (now < retryAt) this.#sayAt = Math.min(this.#sayAt, retryAt);
      if (now < retryAt || (crowded && leaving.size)) continue;
      if (told !== "asked" && asked.size + leaving.size >= window) continue;
      if (!told && leaving.size && asked.size + live.size + leaving.size >= this.#budget.subscriptions) continue;
      if (!this.#spend(now)) return;
      this.#ask(subscription);
    }
  }

  /** Take one frame from the budget if possible; otherwise compute when it will be possible. */
  #spend(now) {
    const { burst, interval } = this.#budget;
    const at = this.#fullAt - (burst - 1) * interval - ROUNDING;
    if (now < at) this.#sayAt = Math.min(this.#sayAt, at);
    else this.#fullAt = Math.max(this.#fullAt, now) + interval;
    return now >= at;
  }

  /** Use a budget from now on. Frames that were sent before count; during a pause, the pause determines the rest. */
  #learn(budget, now) {
    const said = Math.max(0, this.#fullAt - now) / this.#budget.interval;
    this.#budget = paceOf(budget ?? DEFAULT);
    this.#fullAt = this.#repeatAt === Infinity ? now + said * this.#budget.interval : this.#afterPause;
    this.#budgetKnown = true;
  }

  /** Some frames were sent too fast and had no effect; it is not known which. Pause, and then send slowly. */
  #pause(now) {
    if (this.#repeatAt !== Infinity) return;
    this.#repeatAt = now + AFTER_RATE_LIMIT;
    this.#fullAt = Math.max(this.#fullAt, this.#afterPause);
  }

  /** When the budget will be full again, if WINDOW frames are available at the end of a pause. */
  get #afterPause() {
    const { burst, interval } = this.#budget;
    return this.#repeatAt + Math.max(0, burst - WINDOW) * interval;
  }

  #leave(subscription) {
    const { sessionId } = subscription;
    Object.assign(subscription, { told: "leaving", again: false, held: null, last: null });
    this.#settle(subscription);
    this.#say({ unsubscribe: { sessionId } });
  }

  #ask(subscription) {
    const { sessionId, held } = subscription;
    const request = { sessionId };
    if (!this.#plain) {
      if (held?.epoch && held.ordinal) request.sinceSnapshotOrdinal = String(held.ordinal);
      request.delta = true;
      this.#deltas += 1;
      if (held?.epoch) request.epoch = String(held.epoch);
    }
    Object.assign(subscription, { told: "asked", again: false, crowded: false, retryAt: 0 });
    this.#settle(subscription);
    this.#say({ subscribe: request });
  }

  /** Send the frames without an answer again; repeating them is harmless. */
  #repeat() {
    this.#repeatAt = Infinity;
    this.#sayAgain([...this.#told.leaving, ...this.#told.asked]);
  }

  #sayAgain(subscriptions) {
    for (const subscription of subscriptions) {
      subscription.again = true;
      this.#settle(subscription);
    }
  }

  // -- connections ---------------------------------------------------------------------------------------------

  #open(now) {
    this.#retryAt = Infinity;
    this.#link = "opening";
    this.#heardAt = -Infinity;
    this.#goneAt = now + this.#options.patience;
    this.#out.push({ do: "open" });
  }

  #heard(now) {
    this.#heardAt = now;
    this.#goneAt = Infinity;
    this.#doubted = false;
  }

  #silence(now) {
    if (this.#link === "opening") return this.#hangUp("the connection was not made in time", now);
    if (this.#goneAt !== Infinity) return this.#hangUp("the server is silent", now);
    this.#ping();
    this.#goneAt = now + this.#options.patience;
  }

  #ping() {
    this.#urgent.set("ping", String(++this.#pings));
  }

  #hangUp(reason, now) {
    this.#out.push({ do: "drop" });
    this.#disconnected();
    this.#comeBack("reconnecting", { code: 1006, reason }, now);
  }

  #comeBack(state, why, now, told = 0) {
    const retryIn = told + this.#wait(this.#attempts++);
    this.#retryAt = now + retryIn;
    this.#enter(state, { ...why, retryIn });
  }

  #turnedAway(why, now) {
    if (this.#options.refusal(why.status, ++this.#refusals)) return this.#comeBack("refused", why, now);
    const { status, code, reason } = why;
    const message = `this client is not let in: ${status} ${reason}`.trimEnd();
    this.#enter("refused", why);
    this.#close({ code: "refused", message, detail: reason, status, ...(code && { close: code }) }, why);
  }

  #close(error, why) {
    this.#end = error;
    for (const subscription of this.#subscriptions.values()) this.#finish(subscription, error);
    if (this.#link !== "none") this.#out.push({ do: "drop" });
    this.#disconnected();
    this.#retryAt = Infinity;
    this.#enter("closed", why);
  }

  #disconnected() {
    this.#link = "none";
    this.#plain = false;
    this.#deltas = this.#deltasRefused = 0;
    this.#heardAt = this.#goneAt = this.#repeatAt = Infinity;
    this.#doubted = false;
    this.#urgent.clear();
    for (const subscription of this.#subscriptions.values()) {
      Object.assign(subscription, { told: "", again: false, last: null, crowded: false, retryAt: 0 });
      this.#settle(subscription);
    }
  }

  /** The n-th wait in a row, from 0: a random time between the floor and a limit that doubles each time. */
  #wait(n) {
    const { floor, first, ceiling, random } = this.#options;
    return floor + random() * (Math.min(ceiling, first * 2 ** n) - floor);
  }

  // -- effects -------------------------------------------------------------------------------------------------

  #enter(state, why = {}) {
    this.#state = state;
    this.#out.push({ do: "state", change: { state, ...why } });
  }

  #finish(subscription, error) {
    const { sessionId, watchers } = subscription;
    for (const watcher of watchers.keys()) this.#out.push({ do: "end", sessionId, watcher, error: error && { ...error } });
    watchers.clear();
    subscription.told = "";
    this.#settle(subscription);
  }

  /** Report to the watchers of a subscription, or to the application if there is no subscription. */
  #report({ code, message, sessionId = "", detail = "" }, subscription) {
    for (const watcher of subscription?.watchers.keys() ?? [undefined]) {
      this.#out.push({ do: "error", sessionId, watcher, error: { code, message, sessionId, detail } });
    }
  }

  #say(frame) {
    this.#out.push({ do: "send", text: JSON.stringify(frame) });
  }

  #done(now) {
    this.#sayDue(now);
    const out = this.#out;
    this.#out = [];
    return out;
  }
}

/**
 * One session's subscription at the server. It exists while it has watchers or the server has not confirmed its end.
 *
 * told: the state of the subscription on this connection: "" not subscribed, "asked", "live" after a snapshot, "leaving".
 * watchers: each with whether it has received a snapshot.
 * held: the last snapshot with all deltas applied: new connections and new watchers begin from it.
 * replay: the texts of the events since; null if there are too many.
 * last: the ordinal of the last event, or of the snapshot; null before there is a snapshot on this connection.
 * again: whether the last frame may have had no effect.
 * crowded: whether the server has no room for it until another subscription ends.
 * attempts, retryAt: how often in a row the server could not load a snapshot, and when the client asks again.
 */
function newSubscription(sessionId) {
  return {
    sessionId,
    told: "",
    watchers: new Map(),
    held: null,
    replay: [],
    replaySize: 0,
    last: null,
    again: false,
    crowded: false,
    attempts: 0,
    retryAt: 0,
  };
}

/** How a client uses a budget: `interval` is the average number of milliseconds between two frames. */
function paceOf({ burst, rate, subscriptions }) {
  // The most frames without an answer. If the network delays them and delivers all at once, they must be fewer than
  // the refused frames in a row after which a server closes the connection.
  const window = Math.max(1, burst - 1);
  return { burst: Math.max(1, Math.floor(burst * SHARE)), interval: 1_000 / (rate * SHARE), window, subscriptions };
}

/** Move something into the set of this name, if there is one, and remove it from the others. */
function putInto(sets, name, value) {
  for (const each in sets) sets[each][each === name ? "add" : "delete"](value);
}

/** Whether a refusal with this status may be temporary, such as 404 and 502 of an ingress during a deployment. */
function mayPass(status, asksAnew) {
  return asksAnew || (status !== 401 && status !== 403);
}

/** Whether a frame about a session is for this subscription; frames after an unsubscribe are for the earlier one. */
function inForce(subscription) {
  return subscription?.told === "asked" || subscription?.told === "live";
}

/** The frame that the server needs so that its state of a subscription is the wanted one. */
function whatIsMissing({ told, watchers, again }) {
  if (told === "leaving") return again && "unsubscribe"; // who watches by now waits for the answer
  if (!watchers.size) return told && "unsubscribe";
  const waits = told === "live" && [...watchers.values()].includes(false); // for what is no longer held
  return (!told || again || waits) && "subscribe";
}

/** A connection that reconnects by itself, and its subscriptions. Created by `connect`. */
export class Client {
  #url; // an address, or a function that returns a promise of one
  #asksAnew;
  #options;
  #protocol;
  #watching = new Set(); // of { handlers }, one for each call of subscribe
  #queue = []; // effects
  #performing = false;
  #attempt = null; // the connection, as { socket }, from when it is asked where to
  #timer;
  #change = { state: "connecting" };
  #listeners = { state: new Set(), error: new Set() };
  #listener = (event) => this.#surroundings(event);

  constructor(url, options = {}) {
    const { refusal, protocols, onState, onError } = options;
    if (refusal !== undefined && typeof refusal !== "function") throw new TypeError(`refusal has to be a function, not ${refusal}`);
    this.#options = { WebSocket: globalThis.WebSocket, ...options };
    if (typeof this.#options.WebSocket !== "function") {
      throw new TypeError("there is no WebSocket: pass one as the option WebSocket");
    }
    if (onState) this.on("state", onState);
    if (onError) this.on("error", onError);
    this.#url = typeof url === "function" ? async () => socketUrl(await url()) : socketUrl(url);
    const asksAnew = (this.#asksAnew = typeof url === "function" || typeof protocols === "function");
    const decide = (...refused) => call(refusal, ...refused) ?? mayPass(refused[0], asksAnew);
    this.#protocol = new Protocol({ ...options, asksAnew, refusal: refusal && decide });
    this.#call("start");
    this.#surround("add");
  }

  /** The current state: `{state}`, and, if known, `{status, code, reason, retryIn}`. */
  get state() {
    return this.#change;
  }

  /** Call a function at each "state" or "error", and return a function that ends this. */
  on(event, listener) {
    const listeners = this.#listeners[event];
    if (!listeners) throw new TypeError(`event has to be state or error, not ${event}`);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Watch a session: see Handlers in sessionstream.d.ts. */
  subscribe(sessionId, handlers) {
    const { signal } = object(handlers, "handlers");
    const unsubscribe = () => {
      signal?.removeEventListener("abort", unsubscribe);
      if (!this.#watching.delete(watcher)) return; // it has ended already
      this.#call("unsubscribe", sessionId, watcher);
    };
    if (signal?.aborted) return { sessionId, unsubscribe() {} };
    const watcher = { handlers, unsubscribe };
    this.#queue.push(...this.#protocol.subscribe(sessionId, watcher, performance.now()));
    this.#watching.add(watcher);
    signal?.addEventListener("abort", unsubscribe);
    queueMicrotask(() => this.#perform([])); // no handler is called before the caller has the subscription
    return { sessionId, unsubscribe };
  }

  /** Connect now, if the client waits to reconnect; otherwise check within seconds whether the connection is alive. */
  reconnect() {
    this.#call("hurry");
  }

  /** Close the connection permanently; every subscription ends. */
  close() {
    this.#call("stop");
  }

  /** Call a method of the protocol with the time as its last argument, and execute the effects. */
  #call(method, ...values) {
    this.#perform(this.#protocol[method](...values, performance.now()));
  }

  /** Execute effects in order: those that a handler causes meanwhile come after the ones before. */
  #perform(effects) {
    for (const effect of effects) this.#queue.push(effect);
    if (this.#performing) return;
    this.#performing = true;
    try {
      while (this.#queue.length) this.#do(this.#queue.shift());
    } finally {
      this.#performing = false;
    }
    clearTimeout(this.#timer);
    const { deadline } = this.#protocol;
    if (deadline === Infinity) return;
    const wait = Math.min(Math.max(0, deadline - performance.now()), LONGEST_TIMER);
    this.#timer = setTimeout(() => this.#call("tick"), wait);
  }

  #do(effect) {
    const { watcher } = effect;
    if (watcher && !this.#watching.has(watcher)) return; // it has left meanwhile
    const handlers = watcher?.handlers;
    switch (effect.do) {
      case "open":
        return this.#open();
      case "drop":
        return this.#drop();
      case "send":
        return this.#attempt?.socket.send(effect.text);
      case "snapshot":
        return call(handlers.onSnapshot, effect.snapshot);
      case "event":
        return call(handlers.onEvent, effect.event);
      case "error":
        if (handlers?.onError || !this.#listeners.error.size) return call(handlers?.onError ?? warn, effect.error);
        return this.#tell("error", effect.error);
      case "end":
        this.#watching.delete(watcher);
        watcher.unsubscribe(); // which takes it off its signal
        return call(handlers.onEnd ?? (effect.error && warn), effect.error);
      case "state":
        this.#change = effect.change;
        if (effect.change.state === "closed") this.#surround("remove");
        return this.#tell("state", effect.change);
    }
  }

  #tell(event, value) {
    for (const listener of [...this.#listeners[event]]) call(listener, value);
  }

  /** An event of the page after which a connection may be dead, or may be possible again. */
  #surroundings({ type, persisted }) {
    if (type === "visibilitychange" && globalThis.document?.visibilityState !== "visible") return;
    const { state } = this.#change;
    if (type === "offline" && state !== "live") return; // what it waits for has come no nearer
    if (type === "pageshow" && state === "connecting") return; // the page was loaded, and this is its first attempt
    if (persisted) this.#lost(); // the browser closes what a page has open that it keeps for later
    this.reconnect();
  }

  /** Begin to listen to the page, or end it: "add" or "remove". */
  #surround(what) {
    for (const type of SURROUNDINGS) globalThis[`${what}EventListener`]?.(type, this.#listener);
  }

  #open() {
    const attempt = (this.#attempt = { socket: null });
    const asked = [this.#url, this.#options.protocols];
    if (this.#asksAnew) {
      Promise.all(asked.map(async (each) => (typeof each === "function" ? each() : each)))
        .then((answers) => this.#attempt === attempt && this.#dial(attempt, ...answers))
        .catch((error) => this.#failed(attempt, error));
      return;
    }
    try {
      this.#dial(attempt, ...asked);
    } catch (error) {
      // The first attempt is impossible: throw to the caller. A later one may be impossible only for now.
      if (this.#protocol.state === "connecting") throw error;
      this.#failed(attempt, error);
    }
  }

  /** There was no connection to attempt. */
  #failed(attempt, error) {
    if (this.#attempt !== attempt) return; // it took too long, and was given up
    const reason = String(error?.message ?? error);
    if (error instanceof Refused) this.#call("refused", error.status, reason);
    else this.#call("closed", 1006, reason);
  }

  #dial(attempt, url, protocols) {
    const { WebSocket } = this.#options;
    const socket = (attempt.socket = new WebSocket(url, protocols));
    const when = (what) => (event) => this.#attempt === attempt && what(event);
    socket.onopen = when(() => this.#call("opened"));
    socket.onmessage = when(({ data }) => this.#call("received", data));
    socket.onclose = when(({ code, reason }) => {
      this.#attempt = null;
      this.#call("closed", code, reason);
    });
    // Every error ends the connection, but not every implementation also fires "close" (Node 20 does not).
    socket.onerror = when(() => this.#lost());
  }

  #lost() {
    this.#drop();
    this.#call("closed", 1006, "");
  }

  #drop() {
    const socket = this.#attempt?.socket;
    this.#attempt = null; // whatever it still says is not listened to
    socket?.close();
  }
}

/**
 * Connect to a server; a relative URL is resolved against the page's URL. The URL and `protocols` may be functions, which
 * are called before every attempt.
 */
export function connect(url, options) {
  return new Client(url, options);
}

// -- reading frames ----------------------------------------------------------------------------------------------

const READERS = {
  hello: () => ({}),
  snapshot: (frame) => ({
    sessionId: sessionIdOf(frame),
    ordinal: uint64(frame, "snapshotOrdinal"),
    ...members(uint64, frame, "epoch", "since"),
    entities: list(frame, "entities").map(entityOf),
  }),
  subscribed: (frame) => ({ budget: budgetOf(object(frame.budget ?? {}, "budget")) }),
  unsubscribed: (frame) => ({ sessionId: sessionIdOf(frame) }),
  uiEvent: (frame) => ({
    sessionId: sessionIdOf(frame),
    ordinal: uint64(frame, "eventOrdinal"),
    name: text(frame, "name"),
    payload: payloadOf(frame),
  }),
  error: (frame) => members(text, frame, "code", "message", "sessionId", "detail"),
  ping: (frame) => members(text, frame, "nonce"),
  pong: () => ({}),
};

/** Return `{name, frame}`: ordinals as BigInts, absent fields with their defaults; `{}` for an unknown kind of frame. */
function parse(message) {
  let found;
  try {
    found = object(JSON.parse(typeof message === "string" ? message : "binary"), "a server frame");
  } catch (error) {
    throw new FrameError(`a server frame is JSON text: ${error.message}`);
  }
  const [name, second] = Object.keys(found).filter((each) => Object.hasOwn(READERS, each) && found[each] !== null);
  if (second) throw new FrameError(`a server frame has one member, not ${name} and ${second}`);
  return name ? { name, frame: READERS[name](object(found[name], name)) } : {};
}

/** Read an entity from its JSON on the wire; ordinals are text there. */
export function readEntity(value) {
  const { tombstone, ...entity } = entityOf(value);
  return writable(entity);
}

/** Let JSON.stringify write the BigInts of a value as text, as protobuf JSON does. */
function writable(value) {
  return Object.defineProperty(value, "toJSON", { value: withText });
}

function withText() {
  const copy = { ...this };
  for (const name in copy) if (typeof copy[name] === "bigint") copy[name] = String(copy[name]);
  return copy;
}

function entityOf(value) {
  const entity = object(value, "an entity");
  return {
    ...members(text, entity, "kind", "id"),
    ...members(uint64, entity, "createdOrdinal", "lastEventOrdinal"),
    tombstone: Boolean(entity.tombstone),
    payload: payloadOf(entity),
  };
}

/** A budget; undefined if there is none. */
function budgetOf(frame) {
  const { framesBurst, subscriptions } = members(uint64, frame, "framesBurst", "subscriptions");
  const rate = finite(frame, "framesPerSecond");
  return framesBurst && rate > 0 ? { burst: Number(framesBurst), rate, subscriptions: Number(subscriptions) || Infinity } : undefined;
}

/** Members of a frame under their own names, each read by `reader`. */
function members(reader, frame, ...names) {
  return Object.fromEntries(names.map((name) => [name, reader(frame, name)]));
}

function sessionIdOf(frame) {
  return text(frame, "sessionId") || refuse("sessionId", "there, and not empty", "");
}

function payloadOf({ payload }) {
  return object(payload ?? {}, "payload");
}

function text(frame, name) {
  const value = frame[name] ?? "";
  return typeof value === "string" ? value : refuse(name, "a string", value);
}

function list(frame, name) {
  const value = frame[name] ?? [];
  return Array.isArray(value) ? value : refuse(name, "an array", value);
}

function object(value, name) {
  return typeof value === "object" && value && !Array.isArray(value) ? value : refuse(name, "an object", value);
}

function uint64(frame, name) {
  const value = frame[name] ?? "0";
  const whole = (typeof value === "string" || Number.isSafeInteger(value)) && /^\d{1,20}$/.test(value);
  return whole && BigInt(value) < 2n ** 64n ? BigInt(value) : refuse(name, "an unsigned 64-bit number", value);
}

function finite(frame, name) {
  const value = frame[name] ?? 0;
  const number = typeof value === "string" && value.trim() ? Number(value) : value;
  return Number.isFinite(number) ? number : refuse(name, "a finite number", value);
}

function refuse(name, expected, value) {
  throw new FrameError(`${name} has to be ${expected}, not ${JSON.stringify(value)}`);
}

/** The milliseconds to wait that the server gives in the reason of a close; 0 if it gives none. */
function retryAfter(reason) {
  return (/^retry-after=(\d+(?:\.\d+)?)$/.exec(reason)?.[1] ?? 0) * 1_000;
}

/** Compare two entities by their order in a snapshot, for Array.sort. */
export function inTimelineOrder(a, b) {
  return inOrdinalOrder(a, b) || compareText(a.kind, b.kind) || compareText(a.id, b.id);
}

/** The same for entities that are in order where their ordinals are equal. */
function inOrdinalOrder(a, b) {
  return compare(a.createdOrdinal, b.createdOrdinal) || compare(a.lastEventOrdinal, b.lastEventOrdinal);
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** By code points, as the server sorts; `<` compares UTF-16 units, which puts U+1F600 before U+FF5E. */
function compareText(a, b) {
  const [left, right] = [[...a], [...b]];
  const index = left.findIndex((character, at) => character !== right[at]);
  return index < 0 ? left.length - right.length : compare(left[index].codePointAt(), right[index]?.codePointAt() ?? -1);
}

// -- URLs, errors and warnings -----------------------------------------------------------------------------------

function socketUrl(url) {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  absolute.hash = "";
  return absolute.href;
}

/** Call a handler; report an exception in it as an uncaught error, and continue. */
function call(handler, ...values) {
  try {
    return handler?.(...values);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function warn(error) {
  console.warn("sessionstream:", error);
}
