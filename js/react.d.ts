/**
 * Types of react.js, which says what it does. Every hook throws an Error without a store or a session id. Name the types of
 * your application as `app` of `Register`, or pass them before the kind or the name: `useEntities<Chat, "Message">("Message")`.
 */
import type { ReactNode, FunctionComponent } from "react";
import type { AppTypes, CommandName, Kind, Registered } from "./sessionstream.js";
import type { CommandOptions, SessionState, ShownEntity, Store } from "./store.js";

/** Gives the components below a store, a session, or both; what is left out is that of the provider above. */
export const SessionProvider: FunctionComponent<{ store?: Store<any>; id?: string; children?: ReactNode }>;

/** The state of a session; `id` defaults to that of the provider. The session is watched while components use it. */
export function useSession<A extends AppTypes = Registered>(id?: string): SessionState<A>;

/** The entities of a kind, or all, in timeline order; the same array until one of them changes. */
export function useEntities<A extends AppTypes, K extends Kind<A>>(kind?: K, id?: string): readonly ShownEntity<A, K>[];
export function useEntities<K extends Kind>(kind?: K, id?: string): readonly ShownEntity<Registered, K>[];

/**
 * A function that sends the command of this name; see `Session.command`. It is the same until name or session changes. It
 * rejects with a TypeError if its payload is an event of the browser, as in `onClick={send}`.
 */
export function useCommand<A extends AppTypes, N extends CommandName<A>>(name: N, id?: string): SendCommand<A, N>;
export function useCommand<N extends CommandName>(name: N, id?: string): SendCommand<Registered, N>;

export type SendCommand<A extends AppTypes = Registered, N extends CommandName<A> = CommandName<A>> = (
  payload?: A["commands"][N],
  options?: CommandOptions<A>,
) => Promise<void>;
