/** Shows many entities, of which a few change each second, and measures what each change costs the page. */
import { memo, useSyncExternalStore } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import type { Client, Entity, Handlers, LiveEvent } from "sessionstream";
import { SessionProvider, useEntities } from "sessionstream/react";
import { Store } from "sessionstream/store";

type Note = { id: string; payload: { readonly text?: string } };
const SESSION = { sessionId: "s" };

let rendered = 0;

/** Rows that are rendered again only if their entity is another object. */
const Row = memo(({ entity }: { entity: Note }) => {
  rendered += 1;
  return <li>{entity.payload.text}</li>;
});
const Rows = ({ entities }: { entities: readonly Note[] }) => <ul>{entities.map((entity) => <Row key={entity.id} entity={entity} />)}</ul>;

function entity(number: number, ordinal: bigint, text: string): Entity {
  return { kind: "Note", id: `n${number}`, createdOrdinal: BigInt(number + 1), lastEventOrdinal: ordinal, payload: { text } };
}

/** A client whose server is this page. */
class Server {
  handlers!: Handlers;
  ordinal: bigint;

  constructor(readonly count: number) {
    this.ordinal = BigInt(count);
  }

  subscribe(_: string, handlers: Handlers) {
    this.handlers = handlers;
    return { ...SESSION, unsubscribe() {} };
  }

  begin() {
    const entities = Array.from({ length: this.count }, (_, number) => entity(number, BigInt(number + 1), "first"));
    this.handlers.onSnapshot?.({ ...SESSION, ordinal: this.ordinal, epoch: 1n, entities });
  }

  change(number: number) {
    this.ordinal += 1n;
    const { createdOrdinal, lastEventOrdinal, ...rest } = entity(number, this.ordinal, `changed at ${this.ordinal}`);
    const payload = { ...rest, createdOrdinal: String(createdOrdinal), lastEventOrdinal: String(lastEventOrdinal) };
    this.handlers.onEvent?.({ ...SESSION, ordinal: this.ordinal, name: "EntityChanged", payload } as LiveEvent);
  }
}

/** What an application writes that has no store: it copies everything for each change. */
function copying(server: Server) {
  let entities: readonly Note[] = [];
  let changed = () => {};
  server.subscribe("s", {
    onSnapshot: (snapshot) => (entities = snapshot.entities as readonly Note[]),
    onEvent({ payload }) {
      const one = payload as unknown as Note;
      entities = entities.map((each) => (each.id === one.id ? one : { ...each }));
      changed();
    },
  });
  const subscribe = (listener: () => void) => {
    changed = listener;
    return () => {};
  };
  return () => <Rows entities={useSyncExternalStore(subscribe, () => entities)} />;
}

function App() {
  return <Rows entities={useEntities("Note") as readonly Note[]} />;
}

/** Milliseconds of the page for each change, of those without React, and how many rows were rendered for all changes. */
async function measure(count: number, perSecond: number, seconds: number, shares: boolean) {
  const server = new Server(count);
  const root = createRoot(document.querySelector("#root")!);
  const store = new Store(server as unknown as Client);
  if (shares) flushSync(() => root.render(<SessionProvider store={store} id="s"><App /></SessionProvider>));
  const Copying = shares ? null : copying(server);
  server.begin();
  if (Copying) flushSync(() => root.render(<Copying />));
  else flushSync(() => {});
  const [times, own] = [[] as number[], [] as number[]];
  rendered = 0;
  const begun = performance.now();
  while (times.length < perSecond * seconds) {
    const due = begun + (times.length * 1_000) / perSecond;
    while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve));
    const before = performance.now();
    flushSync(() => {
      server.change((times.length * 7_919) % count);
      own.push(performance.now() - before);
    });
    times.push(performance.now() - before);
  }
  const shown = document.querySelectorAll("li");
  const last = `changed at ${server.ordinal}`;
  if (shown.length !== count || ![...shown].some((each) => each.textContent === last)) throw new Error("the page is not up to date");
  root.unmount();
  return { times, own, rendered };
}

Object.assign(globalThis, { measure });
