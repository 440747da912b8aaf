/** Types of sessionstream.js, which says what it does. Every number that is an ordinal or an epoch is a bigint. */

/** A protobuf message as JSON; its type stands under "@type", as `type.googleapis.com/FULL_NAME`. */
export type Payload = { readonly "@type"?: string; readonly [field: string]: unknown };

/** Stands in the place of a payload that the server cannot show; its "@type" tells it from the others. */
export interface UnreadablePayload extends Payload {
  readonly "@type": "type.googleapis.com/sessionstream.v1.UnreadablePayload";
  /** The full name of the message that is stored. */
  readonly type?: string;
  /** Why it cannot be shown. */
  readonly reason?: string;
}

/** One durable thing on the timeline of a session. */
export interface Entity {
  readonly kind: string;
  readonly id: string;
  readonly createdOrdinal: bigint;
  readonly lastEventOrdinal: bigint;
  readonly payload: Payload;
}

/** The whole timeline as it stood at `ordinal`; it replaces whatever was known before. */
export interface Snapshot {
  readonly sessionId: string;
  readonly ordinal: bigint;
  /** Which run of the session's history the ordinals belong to; 0n where the server does not say. */
  readonly epoch: bigint;
  /** Sorted by created ordinal, last event ordinal, kind, id. No tombstones, also when the server sent a delta. */
  readonly entities: readonly Entity[];
}

/** What happened, for those who watch. Several events may share the ordinal of the backend event behind them. */
export interface LiveEvent {
  readonly sessionId: string;
  readonly ordinal: bigint;
  readonly name: string;
  readonly payload: Payload;
}

/** Something went wrong, and the client goes on: nothing has to be done about it. */
export interface ClientError {
  /** A code of the server's table, or "bad_server_frame": the server said what cannot be, and is connected to anew. */
  readonly code: string;
  readonly message: string;
  /** Empty when it is about no subscription. */
  readonly sessionId: string;
  readonly detail: string;
}

/** Why a subscription has ended. */
export interface EndReason {
  /**
   * A code of the server's table; "unsubscribed": by the server; "closed": the connection ended for good; "refused": the
   * client is not let in, and will not be.
   */
  readonly code: string;
  readonly message: string;
  readonly detail: string;
  /** With "closed", and with "refused" where there was one: the WebSocket close code. */
  readonly close?: number;
  /** With "refused": an HTTP status. */
  readonly status?: number;
}

export interface Handlers {
  /** Comes first, and again after each reconnect and rebuild. No handler is called before `subscribe` has returned. */
  onSnapshot?(snapshot: Snapshot): void;
  /** In order, each above the ordinal of the snapshot before it, none missing and none twice. */
  onEvent?(event: LiveEvent): void;
  /** Without it: the client's onError; without that, console.warn. */
  onError?(error: ClientError): void;
  /** There will be no more of this session; null: because the client, or the server in good order, was closed. */
  onEnd?(error: EndReason | null): void;
}

/**
 * connecting: for the first time. live: connected. reconnecting: the connection was lost, or could not be made (offline,
 * say), and will be made again. refused: the client is not let in (signed out, say); it tries again, with `retryIn`, or
 * is closed. closed: there will be no other connection.
 *
 * Browsers do not show why a handshake failed, so a refusal is one only where somebody says so: a server to which the
 * sub-protocol "sessionstream.v1" was offered, by closing with 4401 or 4403, or a function that throws `Refused`.
 */
export type State = "connecting" | "live" | "reconnecting" | "refused" | "closed";

export interface StateChange {
  readonly state: State;
  /** Of a refusal: an HTTP status; 401 for who is not signed in, 403 for who may not. */
  readonly status?: number;
  /** Why the connection ended, or was not made: a WebSocket close code and the server's words. */
  readonly code?: number;
  readonly reason?: string;
  /** After how many milliseconds there will be another attempt. */
  readonly retryIn?: number;
}

/** All times are milliseconds. */
export interface ProtocolOptions {
  /** The shortest wait before a reconnect; 500. The wait is drawn anew each time. */
  floor?: number;
  /** The longest wait the first time; 2,000. It doubles with each attempt that leads to no snapshot. */
  first?: number;
  /** The longest wait of all, unless the server asks for more; 30,000. */
  ceiling?: number;
  /** After so long without a word the server is pinged; 30,000. */
  heartbeat?: number;
  /** After so long without an answer, or without a connection, another connection is made; 20,000. */
  patience?: number;
  /** How long a connection is given that somebody has doubts about, see `Client.reconnect`; 5,000. */
  hurryPatience?: number;
  /** Whether the credentials may be others at the next attempt; then 401 and 403 pass. */
  asksAnew?: boolean;
  /**
   * Whether to try again, after a wait, when the client is refused with this HTTP status; `attempt` counts refusals in a
   * row from 1. If not, the client is closed. Default: yes, as an ingress answers whatever in a deploy; but not after 401
   * and 403, if neither the address nor the sub-protocols are asked for anew. What it throws is an uncaught error, and
   * the default decides.
   */
  refusal?(status: number, attempt: number): boolean;
  /** Returns a number from 0 up to 1; Math.random. */
  random?(): number;
}

/** The part of a browser's WebSocket that is used. */
export interface Socket {
  onopen: ((event: any) => any) | null;
  onmessage: ((event: any) => any) | null;
  onclose: ((event: any) => any) | null;
  onerror: ((event: any) => any) | null;
  send(text: string): void;
  close(): void;
}

/** A value, or a function that is asked for it before every attempt. */
export type Asked<T> = T | (() => T | Promise<T>);

export interface Options extends Omit<ProtocolOptions, "asksAnew"> {
  /** Default: the global one. */
  WebSocket?: new (url: string, protocols?: string | string[]) => Socket;
  /** Sub-protocols to offer: none, or "sessionstream.v1", and a token after it where the server reads one there. */
  protocols?: Asked<string | string[] | undefined>;
  /** Called at each change; it begins as "connecting". */
  onState?(change: StateChange): void;
  /** Errors that are about no subscription, or whose subscription has no onError. */
  onError?(error: ClientError): void;
}

export interface Subscription {
  readonly sessionId: string;
  /** Nothing comes any more, for this watcher; calling it again does nothing. */
  unsubscribe(): void;
}

/** Made by `connect`. */
export class Client {
  constructor(url: Asked<string | URL>, options?: Options);
  /** The latest change of state. */
  readonly state: StateChange;
  /**
   * Watch a session. Several may watch one: they share what goes over the wire, and each is given all of it, as copies
   * of its own. Who comes later begins with what the client holds: the last snapshot, and the events since. The
   * server is told when the last one has left. On a closed client the subscription ends at once.
   * @throws TypeError the session id is empty or no text, or holds NUL or half a surrogate pair; or the
   * handlers are no object.
   */
  subscribe(sessionId: string, handlers: Handlers): Subscription;
  /**
   * Connect now, if the client waits to reconnect. If it is connected and nothing was heard for a second, the server is
   * pinged, and the connection is given up unless something is heard within `hurryPatience`; so is an attempt that is
   * under way. A page does this by itself on online, offline, pageshow, and when it becomes visible.
   */
  reconnect(): void;
  /** Close the connection, for good; every subscription ends. */
  close(): void;
}

/**
 * Connect to a server of sessions. A relative address is one of the page's own server; http becomes ws.
 *
 * Credentials that expire are functions, for `url` or `options.protocols`: they are asked before every attempt. An attempt
 * whose function throws, or takes longer than `patience`, has failed, and there will be another; if it throws `Refused`,
 * because the application's own service says no, it was refused.
 * @throws TypeError there is no WebSocket implementation, the address is none, or `refusal` is no function.
 * @throws DOMException whatever the WebSocket says of an address that it does not take.
 * @throws RangeError a time is not above 0, or floor, first and ceiling do not rise.
 */
export function connect(url: Asked<string | URL>, options?: Options): Client;

/** To be thrown by a function for the address or the sub-protocols: this client would not be let in. */
export class Refused extends Error {
  /** @throws TypeError the status is no whole number. */
  constructor(status: number, message?: string);
  readonly status: number;
}

/** What `Protocol` wants done. A `watcher` is what the caller gave to `subscribe`; of an error, if it is about any. */
export type Effect<Watcher = unknown> =
  | { readonly do: "open" }
  | { readonly do: "send"; readonly text: string }
  /** Close the socket, and listen to it no more. */
  | { readonly do: "drop" }
  | { readonly do: "state"; readonly change: StateChange }
  | { readonly do: "snapshot"; readonly sessionId: string; readonly watcher: Watcher; readonly snapshot: Snapshot }
  | { readonly do: "event"; readonly sessionId: string; readonly watcher: Watcher; readonly event: LiveEvent }
  | { readonly do: "error"; readonly sessionId: string; readonly watcher?: Watcher; readonly error: ClientError }
  | { readonly do: "end"; readonly sessionId: string; readonly watcher: Watcher; readonly error: EndReason | null };

/**
 * One client's side of the conversation, without I/O and without a clock: for tests, and for other sockets.
 * `now` is in milliseconds, on any clock that only goes forward.
 */
export class Protocol<Watcher = unknown> {
  constructor(options?: ProtocolOptions);
  readonly state: State;
  /** When `tick` is due; Infinity: not before something else happens. */
  readonly deadline: number;
  start(now: number): Effect<Watcher>[];
  /** Watchers are told apart by `===`; each watches a session once. */
  subscribe(sessionId: string, watcher: Watcher, now: number): Effect<Watcher>[];
  unsubscribe(sessionId: string, watcher: Watcher, now: number): Effect<Watcher>[];
  hurry(now: number): Effect<Watcher>[];
  stop(): Effect<Watcher>[];
  opened(now: number): Effect<Watcher>[];
  received(text: unknown, now: number): Effect<Watcher>[];
  closed(code: number, reason: string, now: number): Effect<Watcher>[];
  refused(status: number, reason: string, now: number): Effect<Watcher>[];
  tick(now: number): Effect<Watcher>[];
}
