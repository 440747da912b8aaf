/** Types of store.js, which says what it does. */
import type { AppTypes, Client, CommandName, EndReason, Entity, Kind, LiveEvent, Registered, Snapshot } from "./sessionstream.js";

/** An entity as a store shows it; `pending`: an optimistic command has put it there, and the server has not yet. */
export type ShownEntity<A extends AppTypes = Registered, K extends Kind<A> = Kind<A>> = Entity<A, K> & { readonly pending?: true };

export interface SessionState<A extends AppTypes = Registered> {
  readonly sessionId: string;
  /** loading: no snapshot has come yet. ready: the entities are there. ended: see `error`; they are the last ones known. */
  readonly status: "loading" | "ready" | "ended";
  readonly ordinal: bigint;
  readonly epoch: bigint;
  /** In timeline order. */
  readonly entities: readonly ShownEntity<A>[];
  /** Why the subscription has ended; null also if the client was closed. */
  readonly error: EndReason | null;
}

/** An entity that a command is expected to make or change; with the payload null, to delete. */
export type OptimisticEntity<A extends AppTypes = Registered> = {
  readonly [K in Kind<A>]: { readonly kind: K; readonly id: string; readonly payload: A["entities"][K] | null };
}[Kind<A>];

export interface SendOptions {
  /**
   * The idempotency key, ASCII text; default: a new random one. Send a command again with the same key, and it runs once.
   * A key that is not ASCII is a RangeError.
   */
  readonly key?: string;
  /** Ends the wait. The command may run all the same. */
  readonly signal?: AbortSignal;
}

export interface CommandOptions<A extends AppTypes = Registered> extends SendOptions {
  /**
   * Shown at once, each until the command fails, an event changes the entity, or a later snapshot comes; at the latest
   * five seconds after the answer.
   */
  readonly optimistic?: readonly OptimisticEntity<A>[];
}

export interface StoreOptions {
  /** Where `commands_endpoint` is mounted, such as "/api". */
  readonly commands?: string | URL;
  /** Headers of each command, or a function that returns them, such as an Authorization. */
  readonly headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** Snapshots to begin with, by session id: JSON.parse of what JSON.stringify wrote of a Snapshot. */
  readonly initial?: { readonly [sessionId: string]: InitialSnapshot };
}

/** A snapshot as JSON. */
export interface InitialSnapshot {
  readonly ordinal: string;
  readonly epoch: string;
  readonly entities: readonly unknown[];
}

/** The sessions that one client watches, and how they send commands. */
export class Store<A extends AppTypes = Registered> {
  /** The client, or a function that makes it when a session is first watched: rendering on a server then opens no socket. */
  constructor(client: Client<A> | (() => Client<A>), options?: StoreOptions);
  readonly client: Client<A>;
  /** The session of this id; each call returns the same object. It is watched while it has listeners, and kept after. */
  session(sessionId: string): Session<A>;
  /**
   * Send a command, and wait until its handler has returned, or the server answers that it goes on.
   * @throws CommandError the server refused it, or could not be reached.
   * @throws TypeError the store has no address for commands.
   */
  send<N extends CommandName<A>>(sessionId: string, name: N, payload?: A["commands"][N], options?: SendOptions): Promise<void>;
}

/** One session of a store. Values are immutable: what an update does not change keeps its identity. */
export interface Session<A extends AppTypes = Registered> {
  readonly sessionId: string;
  /** The same object until something changes. */
  readonly state: SessionState<A>;
  /** The state that it began with. */
  readonly initialState: SessionState<A>;
  initialEntities<K extends Kind<A>>(kind?: K): readonly ShownEntity<A, K>[];
  /** The entities of a kind, or all, in timeline order; the same array until one of them changes. */
  entities<K extends Kind<A>>(kind?: K): readonly ShownEntity<A, K>[];
  entity<K extends Kind<A>>(kind: K, id: string): ShownEntity<A, K> | undefined;
  /** Call a function after each change. Returns a function that ends this. */
  readonly subscribe: (listener: () => void) => () => void;
  /**
   * Send a command; see `Store.send`.
   * @throws CommandError the server refused it, or could not be reached; the optimistic entities are gone then.
   */
  command<N extends CommandName<A>>(name: N, payload?: A["commands"][N], options?: CommandOptions<A>): Promise<void>;
}

export class CommandError extends Error {
  constructor(status: number, code: string, message: string, key: string);
  /** The HTTP status; 0: there was no answer, and the command may have run. */
  readonly status: number;
  /** The code of the server's table; "unreachable" without an answer. */
  readonly code: string;
  /** The idempotency key, with which it can be sent again. */
  readonly key: string;
}

export type Update<A extends AppTypes = Registered> =
  | { readonly snapshot: Snapshot<A>; readonly event?: never }
  | { readonly event: LiveEvent<A>; readonly snapshot?: never };

/**
 * Iterate over the updates of a session: a snapshot, then every live event, and a snapshot again after a gap. A reader
 * that falls more than 1,024 updates behind goes on with a snapshot.
 * @throws Error with `code`, as EndReason: the subscription has ended. Without an error, the client was closed.
 * @throws DOMException the signal was aborted; or its reason, if it has another.
 */
export function updates<A extends AppTypes = Registered>(
  client: Client<A>,
  sessionId: string,
  options?: { readonly signal?: AbortSignal },
): AsyncGenerator<Update<A>, void, void>;
