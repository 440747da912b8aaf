/**
 * Types of sessionstream.js, which says what it does. Every number that is an ordinal or an epoch is a bigint;
 * JSON.stringify writes it as decimal text, as protobuf JSON does, in snapshots, entities and events as they are given.
 */

/** A protobuf message as JSON; its type is in "@type", as `type.googleapis.com/FULL_NAME`. */
export type Payload = { readonly "@type"?: string; readonly [field: string]: unknown };

/** Replaces a payload that the server cannot encode; "@type" distinguishes it from other payloads. */
export type UnreadablePayload = {
  readonly "@type": "type.googleapis.com/sessionstream.v1.UnreadablePayload";
  /** The full name of the message that is stored. */
  readonly type?: string;
  /** Why it cannot be encoded. */
  readonly reason?: string;
};

/**
 * The payloads of an application by name, which `sessionstream types` writes as an interface. Pass it to `connect`,
 * `subscribe` and `Store` as the type argument, or name it once for all of them, the hooks too:
 *
 *     declare module "sessionstream" {
 *       interface Register { app: import("./chat").Chat }
 *     }
 */
export interface AppTypes {
  readonly commands: object;
  readonly uiEvents: object;
  readonly entities: object;
}

/** An application whose types are not known. */
export interface Untyped extends AppTypes {
  readonly commands: { readonly [name: string]: unknown };
  readonly uiEvents: { readonly [name: string]: Payload };
  readonly entities: { readonly [kind: string]: Payload };
}

/** Its member `app`, if there is one, is the application that is meant where none is given. */
export interface Register {}

/** The application that is meant where none is given. */
export type Registered = Register extends { app: infer A extends AppTypes } ? A : Untyped;

/** The kinds of entities, and the names of UI events and commands. */
export type Kind<A extends AppTypes = Registered> = keyof A["entities"] & string;
export type EventName<A extends AppTypes = Registered> = keyof A["uiEvents"] & string;
export type CommandName<A extends AppTypes = Registered> = keyof A["commands"] & string;

type KeyOf<T> = T extends unknown ? keyof T : never;
type Absent<T, Present> = { readonly [Name in Exclude<KeyOf<T>, keyof Present>]?: never };

/** A payload from the server: instead of each there may be an UnreadablePayload, which lacks all fields of the other. */
export type Received<T> = string extends keyof T ? T : T | (UnreadablePayload & Absent<T, UnreadablePayload>);

/** One durable object on the timeline of a session; `kind` tells the types of payloads apart. */
export type Entity<A extends AppTypes = Registered, K extends Kind<A> = Kind<A>> = {
  readonly [Each in K]: {
    readonly kind: Each;
    readonly id: string;
    readonly createdOrdinal: bigint;
    readonly lastEventOrdinal: bigint;
    readonly payload: Received<A["entities"][Each]>;
  };
}[K];

/** The whole timeline at `ordinal`; it replaces all earlier state. */
export interface Snapshot<A extends AppTypes = Registered> {
  readonly sessionId: string;
  readonly ordinal: bigint;
  /** The version of the session's history that the ordinals belong to; 0n if the server does not send it. */
  readonly epoch: bigint;
  /** Sorted by created ordinal, last event ordinal, kind, id. No tombstones, also when the server sent a delta. */
  readonly entities: readonly Entity<A>[];
}

/**
 * A live event; `name` tells the types of payloads apart. Several events may share the ordinal of one backend event. A
 * server that is newer than the types may send names that they lack.
 */
export type LiveEvent<A extends AppTypes = Registered, N extends EventName<A> = EventName<A>> = {
  readonly [Each in N]: {
    readonly sessionId: string;
    readonly ordinal: bigint;
    readonly name: Each;
    readonly payload: Received<A["uiEvents"][Each]>;
  };
}[N];

/** An error after which the client continues; the application need not act. */
export interface ClientError {
  /** A code of the server's table, or "bad_server_frame": the server sent an invalid frame, and the client reconnects. */
  readonly code: string;
  readonly message: string;
  /** Empty if the error does not belong to a subscription. */
  readonly sessionId: string;
  readonly detail: string;
}

/** Why a subscription has ended. */
export interface EndReason {
  /**
   * A code of the server's table; "unsubscribed": by the server; "closed": the client is closed; "refused": the server
   * refused the client, and the client does not try again.
   */
  readonly code: string;
  readonly message: string;
  readonly detail: string;
  /** With "closed", and with "refused" if there was one: the WebSocket close code. */
  readonly close?: number;
  /** With "refused": an HTTP status. */
  readonly status?: number;
}

export interface Handlers<A extends AppTypes = Registered> {
  /** Called first, and again after each reconnect and rebuild. No handler is called before `subscribe` has returned. */
  onSnapshot?(snapshot: Snapshot<A>): void;
  /** Called for every event above the ordinal of the last snapshot, once and in order. */
  onEvent?(event: LiveEvent<A>): void;
  /** Without it: the client's onError; without that, console.warn. */
  onError?(error: ClientError): void;
  /** Called when the subscription has ended; null: the client was closed, or the server closed normally. */
  onEnd?(error: EndReason | null): void;
  /** When it is aborted, the subscription ends as after `unsubscribe`; if it is aborted already, no handler is called. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * connecting: the client connects for the first time. live: connected. reconnecting: the connection was lost or could not
 * be made, for example offline, and the client tries again. refused: the server refused the client, for example because
 * the user is signed out; it tries again, with `retryIn`, or is closed. closed: the client has ended.
 *
 * Browsers do not show why a handshake failed. So the client knows of a refusal only if the server closes with 4401 or
 * 4403, which needs the sub-protocol "sessionstream.v1", or if a function throws `Refused`.
 */
export type State = "connecting" | "live" | "reconnecting" | "refused" | "closed";

export interface StateChange {
  readonly state: State;
  /** For a refusal: an HTTP status; 401: not signed in, 403: not allowed. */
  readonly status?: number;
  /** Why the connection ended or was not made: a WebSocket close code and the server's reason. */
  readonly code?: number;
  readonly reason?: string;
  /** Milliseconds until the next attempt. */
  readonly retryIn?: number;
}

/** All times are milliseconds. */
export interface ProtocolOptions {
  /** The shortest wait before a reconnect; 500. Each wait is random. */
  floor?: number;
  /** The longest first wait; 2,000. It doubles with each attempt without a snapshot. */
  first?: number;
  /** The longest wait, unless the server asks for more; 30,000. */
  ceiling?: number;
  /** Time without a message after which the client pings the server; 30,000. */
  heartbeat?: number;
  /** Time without an answer, or without a connection, after which the client makes a new connection; 20,000. */
  patience?: number;
  /** The same time after `Client.reconnect`; 5,000. */
  hurryPatience?: number;
  /** Whether the credentials may differ at the next attempt; then 401 and 403 are temporary. */
  asksAnew?: boolean;
  /**
   * Whether to try again, after a wait, when the client is refused with this HTTP status; `attempt` counts refusals in a
   * row from 1. If not, the client is closed. Default: yes, because an ingress may answer any status during a deployment;
   * but not after 401 and 403, if neither the URL nor the sub-protocols are functions. If it throws, that is an uncaught
   * error; then, and if it returns nothing, the default applies.
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

/** A value, or a function that returns it and is called before every attempt. */
export type Asked<T> = T | (() => T | Promise<T>);

export interface Options extends Omit<ProtocolOptions, "asksAnew"> {
  /** Default: the global one. */
  WebSocket?: new (url: string, protocols?: string | string[]) => Socket;
  /** Sub-protocols to offer: none, or "sessionstream.v1", followed by a token if the server expects one. */
  protocols?: Asked<string | string[] | undefined>;
  /** Called at each change; the first state is "connecting". */
  onState?(change: StateChange): void;
  /** Called for errors without a subscription, or whose subscription has no onError. */
  onError?(error: ClientError): void;
}

export interface Subscription {
  readonly sessionId: string;
  /** Stop calling these handlers; calling it again has no effect. */
  unsubscribe(): void;
}

/** Created by `connect`. */
export class Client<A extends AppTypes = Registered> {
  constructor(url: Asked<string | URL>, options?: Options);
  /** The current state. */
  readonly state: StateChange;
  /**
   * Call a function at each change of the state, or for each error whose subscription has no onError, as `onState` and
   * `onError` do. Returns a function that ends this.
   * @throws TypeError there is no such event.
   */
  on(event: "state", listener: (change: StateChange) => void): () => void;
  on(event: "error", listener: (error: ClientError) => void): () => void;
  /**
   * Watch a session. Several subscriptions to one session share one subscription at the server, and each gets its own
   * copies of everything. A later one begins with the client's last snapshot and the events since. The client
   * unsubscribes at the server when the last one has ended. On a closed client the subscription ends at once.
   * @throws TypeError the session id is empty, not a string, or contains NUL or half a surrogate pair; or the
   * handlers are not an object.
   */
  subscribe<Of extends AppTypes = A>(sessionId: string, handlers: Handlers<Of>): Subscription;
  /**
   * Connect now, if the client waits to reconnect. If it is connected and has received nothing for a second, it pings the
   * server, and closes the connection unless it receives something within `hurryPatience`; the same time limits an attempt
   * in progress. In a page the client does this by itself on online, offline, pageshow, and when the page becomes visible.
   */
  reconnect(): void;
  /** Close the connection permanently; every subscription ends. */
  close(): void;
}

/**
 * Connect to a server. A relative URL is resolved against the page's URL; http becomes ws.
 *
 * Pass credentials that expire as functions, for `url` or `options.protocols`: they are called before every attempt. If a
 * function throws, or takes longer than `patience`, the attempt has failed, and another follows; if it throws `Refused`,
 * because the application's own service refuses, the attempt counts as refused.
 * @throws TypeError there is no WebSocket implementation, the URL is not valid, or `refusal` is not a function.
 * @throws DOMException the WebSocket does not accept the URL.
 * @throws RangeError a time is not above 0, or floor, first and ceiling are not in ascending order.
 */
export function connect<A extends AppTypes = Registered>(url: Asked<string | URL>, options?: Options): Client<A>;

/** Throw this in a function for the URL or the sub-protocols: the application's own service refuses this client. */
export class Refused extends Error {
  /** @throws TypeError the status is not an integer. */
  constructor(status: number, message?: string);
  readonly status: number;
}

/**
 * Read an entity from protobuf JSON, such as the payload of the UI event EntityChanged, where ordinals are text.
 * @throws Error a member has the wrong type.
 */
export function readEntity<A extends AppTypes = Registered>(value: unknown): Entity<A>;

/** What an entity's place in a timeline depends on. */
export interface Placed {
  readonly kind: string;
  readonly id: string;
  readonly createdOrdinal: bigint;
  readonly lastEventOrdinal: bigint;
}

/** Compare two entities by their order in a snapshot, for `Array.sort`. */
export function inTimelineOrder(a: Placed, b: Placed): number;

/** An effect of `Protocol`. `watcher` is the value given to `subscribe`; an error has one if it belongs to a watcher. */
export type Effect<Watcher = unknown> =
  | { readonly do: "open" }
  | { readonly do: "send"; readonly text: string }
  /** Close the socket, and ignore its further events. */
  | { readonly do: "drop" }
  | { readonly do: "state"; readonly change: StateChange }
  | { readonly do: "snapshot"; readonly sessionId: string; readonly watcher: Watcher; readonly snapshot: Snapshot }
  | { readonly do: "event"; readonly sessionId: string; readonly watcher: Watcher; readonly event: LiveEvent }
  | { readonly do: "error"; readonly sessionId: string; readonly watcher?: Watcher; readonly error: ClientError }
  | { readonly do: "end"; readonly sessionId: string; readonly watcher: Watcher; readonly error: EndReason | null };

/**
 * The client's side of the protocol, without I/O and without a clock: for tests, and for other sockets.
 * `now` is in milliseconds, on any monotonic clock.
 */
export class Protocol<Watcher = unknown> {
  constructor(options?: ProtocolOptions);
  readonly state: State;
  /** When to call `tick`; Infinity: not before another method was called. */
  readonly deadline: number;
  start(now: number): Effect<Watcher>[];
  /** Watchers are compared with `===`; each watches a session once. */
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
