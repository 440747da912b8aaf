/** Types of react.js, which says what it does. Every hook throws an Error without a store or a session id. */
import type { ReactNode, FunctionComponent } from "react";
import type { CommandOptions, SessionState, ShownEntity, Store } from "./store.js";

/** Gives the components below a store, a session, or both; what is left out is that of the provider above. */
export const SessionProvider: FunctionComponent<{ store?: Store; id?: string; children?: ReactNode }>;

/** The state of a session; `id` defaults to that of the provider. The session is watched while components use it. */
export function useSession(id?: string): SessionState;

/** The entities of a kind, or all, in timeline order; the same array until one of them changes. */
export function useEntities(kind?: string, id?: string): readonly ShownEntity[];

/** A function that sends the command of this name; see `Session.command`. It is the same until name or session changes. */
export function useCommand(name: string, id?: string): (payload: unknown, options?: CommandOptions) => Promise<void>;
