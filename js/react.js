"use client";
/** React hooks for the sessions of a store, for React from version 18. Types are in react.d.ts. */
import { createContext, createElement, useCallback, useContext, useMemo, useSyncExternalStore } from "react";

const Context = createContext({});

/** Give the components below a store, a session, or both; what is left out is that of the provider above. */
export function SessionProvider({ store, id, children }) {
  const above = useContext(Context);
  const [ownStore, ownId] = [store ?? above.store, id ?? above.id];
  const value = useMemo(() => ({ store: ownStore, id: ownId }), [ownStore, ownId]);
  return createElement(Context.Provider, { value }, children);
}

/** The state of a session, by default of the provider's. */
export function useSession(id) {
  const session = useStored(id);
  const now = useCallback(() => session.state, [session]);
  const first = useCallback(() => session.initialState, [session]);
  return useSyncExternalStore(session.subscribe, now, first);
}

/** The entities of a kind, or all. The component renders again when one of them changes. */
export function useEntities(kind, id) {
  const session = useStored(id);
  const now = useCallback(() => session.entities(kind), [session, kind]);
  const first = useCallback(() => session.initialEntities(kind), [session, kind]);
  return useSyncExternalStore(session.subscribe, now, first);
}

/** A function that sends the command of this name: `send(payload, options)`. */
export function useCommand(name, id) {
  const session = useStored(id);
  return useCallback(async (payload, options) => {
    if (payload?.preventDefault) throw new TypeError(`${name} has an event as its payload: write onClick={() => send(...)}`);
    return session.command(name, payload, options);
  }, [session, name]);
}

function useStored(id) {
  const { store, id: provided } = useContext(Context);
  const sessionId = id ?? provided;
  if (!store) throw new Error("there is no store: put a SessionProvider with one above this component");
  if (sessionId === undefined) throw new Error("which session? Pass its id to the hook or to the SessionProvider");
  return store.session(sessionId);
}
