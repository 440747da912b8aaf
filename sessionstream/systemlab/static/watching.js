/** What the pages of phases 2 to 5 share: a client whose line can be cut, its frames, what it holds, and its reports. */
import { connect } from "/static/sessionstream.js";
import { LabError, report } from "/static/core.js";

const THROTTLE = 150; // milliseconds between two reports
const FRAMES = 200; // how many frames are shown of a client
const AGAIN = 1_000; // milliseconds until it is asked again what other pages have reported
const SOON = 16; // milliseconds in which changes are taken together

/** Tells the tabs of one browser apart. */
const tab = crypto.getRandomValues(new Uint16Array(1))[0].toString(16).padStart(4, "0");

/** The network of one client: a WebSocket class whose frames are noted, and whose connections can be cut. */
class Line {
  isCut = false;
  #sockets = new Set();
  #note;
  #edit;

  constructor(note, edit) {
    this.#note = note;
    this.#edit = edit;
  }

  /** End what is open, and let nothing be opened before it is mended. */
  cut() {
    this.isCut = true;
    this.#sockets.forEach((socket) => socket.cut());
  }

  mend() {
    this.isCut = false;
  }

  get WebSocket() {
    const line = this;
    return class {
      onopen = null;
      onmessage = null;
      onclose = null;
      onerror = null;
      #socket = null;

      constructor(url) {
        if (line.isCut) {
          queueMicrotask(() => this.onclose?.({ code: 1006, reason: "" }));
          return;
        }
        this.#socket = new WebSocket(url);
        line.#sockets.add(this);
        this.#socket.onopen = (event) => this.onopen?.(event);
        this.#socket.onmessage = (event) => {
          line.#note("in", event.data);
          this.onmessage?.(event);
        };
        this.#socket.onclose = (event) => this.#closed(event);
      }

      send(said) {
        const text = line.#edit(said);
        line.#note("out", text);
        this.#socket?.send(text);
      }

      close() {
        this.#socket?.close();
      }

      cut() {
        this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
        this.#socket.close();
        this.#closed({ code: 1006, reason: "cut" });
      }

      #closed({ code, reason }) {
        line.#sockets.delete(this);
        line.#note("end", `${code} ${reason}`.trimEnd());
        this.onclose?.({ code, reason });
      }
    };
  }
}

/**
 * One client of one session, and what it holds: items by id, each whatever the page makes of an entity or an event.
 *
 * fold: {entity(entity): item, event(event): [id, item or null for gone]}.
 * changed(client): called soon after something has changed.
 */
export class Watcher {
  items = new Map();
  ordinal = 0n;
  snapshotOrdinal = 0n; // of the last snapshot: what it says as `since` when it subscribes again
  epoch = 0n;
  hydrated = false;
  frames = [];
  state = "none";
  #name;
  #url;
  #sessionId;
  #fold;
  #changed;
  #due = null;
  #client = null;
  #subscription = null;
  #since = null;
  #line = new Line(
    (way, text) => this.#noted(way, text),
    (text) => this.#asked(text),
  );

  constructor({ name, url, sessionId, fold, changed }) {
    this.#name = name;
    this.#url = url;
    this.#sessionId = sessionId;
    this.#fold = fold;
    this.#changed = changed;
  }

  get name() {
    return this.#name;
  }

  /** What the lab calls it: its name, and that of the tab. */
  get id() {
    return `${this.#name}-${tab}`;
  }

  get connected() {
    return this.#client !== null && !this.#line.isCut;
  }

  get subscribed() {
    return this.#subscription !== null;
  }

  get live() {
    return this.state === "live" && this.subscribed && this.hydrated;
  }

  get sessionId() {
    return this.#sessionId;
  }

  /** Watch another session, and forget what was held of this one. */
  use(sessionId) {
    if (!sessionId || sessionId === this.#sessionId) return;
    const watched = this.subscribed;
    if (watched) this.unsubscribe();
    this.#sessionId = sessionId;
    if (watched) this.subscribe();
    this.#change();
  }

  /** What the next request to subscribe says as `sinceSnapshotOrdinal`; null: `snapshotOrdinal`. */
  get since() {
    return this.#since;
  }

  set since(ordinal) {
    this.#since = ordinal;
    this.#change();
  }

  /** Connect; with a subscription it goes on from what it holds. */
  connect() {
    this.#line.mend();
    if (this.#client) {
      this.#client.reconnect();
    } else {
      this.#client = connect(`${this.#url}?client=${this.id}`, {
        WebSocket: this.#line.WebSocket,
        floor: 200,
        first: 600,
        ceiling: 5_000,
        onState: ({ state }) => {
          this.state = state;
          if (state !== "live") this.hydrated = false;
          this.#change();
        },
        onError: () => this.#change(), // it is among the frames
      });
    }
    this.#change();
  }

  /** Lose the connection, and keep what it holds. */
  disconnect() {
    this.#line.cut();
    this.#change();
  }

  /** Watch the session, from nothing. */
  subscribe() {
    this.#subscription = this.#client.subscribe(this.#sessionId, {
      onSnapshot: ({ ordinal, epoch, entities }) => {
        this.items = new Map(entities.map((entity) => [entity.id, this.#fold.entity(entity)]));
        this.snapshotOrdinal = ordinal;
        this.#holds(ordinal, epoch);
      },
      onEvent: (event) => {
        const [id, item] = this.#fold.event(event);
        if (item === null) this.items.delete(id);
        else this.items.set(id, item);
        this.#holds(event.ordinal, this.epoch);
      },
      onEnd: () => this.#forget(),
    });
    this.#change();
  }

  /** Watch it no more, and forget what was held. */
  unsubscribe() {
    this.#subscription?.unsubscribe();
    this.#forget();
  }

  #holds(ordinal, epoch) {
    this.hydrated = true;
    Object.assign(this, { ordinal, epoch });
    this.#change();
  }

  #forget() {
    this.#subscription = null;
    this.items = new Map();
    this.snapshotOrdinal = 0n;
    this.#holds(0n, 0n);
    this.hydrated = false;
  }

  #change() {
    this.#due ??= setTimeout(() => {
      this.#due = null;
      this.#changed(this);
    }, SOON);
  }

  /** Write the reader's ordinal into a request to subscribe: once, or a client that cannot use the answer never recovers. */
  #asked(text) {
    const frame = this.#since === null ? {} : JSON.parse(text);
    if (!frame.subscribe) return text;
    frame.subscribe.sinceSnapshotOrdinal = String(this.#since);
    this.since = null;
    return JSON.stringify(frame);
  }

  #noted(way, text) {
    this.frames = [...this.frames, { way, text }].slice(-FRAMES);
    this.#change();
  }
}

/**
 * Tells the lab what clients hold, each some time after it has changed, one at a time.
 *
 * check: the id of a check that waits for the reports of other pages as well; while it does, it is asked for again.
 */
export class Reports {
  #page;
  #again;
  #due = new Map(); // id → the client
  #told = new Map(); // id → what was told last
  #busy = false;

  constructor(page, check = "") {
    this.#page = page;
    page.onState(({ checks }) => {
      clearTimeout(this.#again);
      const waits = checks.some(({ id, verdict, evidence }) => id === check && verdict === "waiting" && evidence.length);
      if (waits) this.#again = setTimeout(page.refresh, AGAIN);
    });
  }

  add(client) {
    this.#due.set(client.id, client);
    if (!this.#busy) setTimeout(() => this.#send(), THROTTLE);
    this.#busy = true;
  }

  async #send() {
    const [[id, client]] = this.#due;
    this.#due.delete(id);
    const fields = {
      client: id,
      live: client.live,
      epoch: String(client.epoch),
      ordinal: Number(client.ordinal),
      items: JSON.stringify([...client.items.values()]),
    };
    const text = JSON.stringify(fields);
    try {
      if (this.#told.get(id) !== text) await this.#page.run("report", fields);
      this.#told.set(id, text);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      this.#told.delete(id);
      report(error.message);
    } finally {
      this.#busy = this.#due.size > 0;
      if (this.#busy) setTimeout(() => this.#send(), THROTTLE);
    }
  }
}

const STATES = {
  none: "Not connected",
  connecting: "Connecting",
  live: "Connected",
  reconnecting: "Reconnecting",
  refused: "Refused",
  closed: "Closed",
};

/** What to say of a client's connection. */
export function stateOf(client) {
  const word = client.state !== "none" && !client.connected ? "Disconnected" : STATES[client.state];
  if (!client.connected || client.state !== "live") return word;
  return client.subscribed ? (client.hydrated ? "Live" : "Waiting for its snapshot") : word;
}

/** The report of a client that folds notes. */
export function holdsOf({ items, ordinal, epoch }) {
  if (!epoch) return "Holds nothing";
  return `Holds ${items.size} ${items.size === 1 ? "note" : "notes"}, at ordinal ${ordinal} of epoch ${epoch}`;
}
