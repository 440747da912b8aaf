/** An application whose types `sessionstream types` wrote, from end to end; checked by a compiler and never run. */
import { connect, readEntity } from "sessionstream";
import type { Entity, LiveEvent } from "sessionstream";
import { useCommand, useEntities, useSession } from "sessionstream/react";
import { Store, updates } from "sessionstream/store";
import type { Chat } from "./chat";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const check = <T extends true>(): T | void => undefined;

const untyped = connect("/ws");
untyped.subscribe<Chat>("s", {
  onSnapshot({ entities }) {
    for (const { kind, payload } of entities) {
      check<Same<typeof kind, "ChatMessage">>();
      check<Same<typeof payload.streaming, boolean | undefined>>();
      // @ts-expect-error there is no such field
      console.log(payload.txet);
    }
  },
  onEvent(event) {
    switch (event.name) {
      case "ChatMessageAppended":
        return console.log(event.payload.chunk?.trim());
      // @ts-expect-error there is no such event
      case "ChatMessageRead":
        return;
    }
    check<Same<typeof event.name, "ChatMessageAccepted" | "ChatMessageStarted" | "ChatMessageFinished" | "ChatMessageStopped">>();
    if (event.payload["@type"] === "type.googleapis.com/sessionstream.v1.UnreadablePayload") console.log(event.payload.reason?.trim());
    else console.log(event.payload.content?.trim());
  },
});

const client = connect<Chat>("/ws");
client.on("state", ({ state }) => check<Same<typeof state, "connecting" | "live" | "reconnecting" | "refused" | "closed">>());
client.subscribe("s", { onEvent: (event: LiveEvent<Chat>) => console.log(event.payload.messageId?.trim()) });
const one: Entity<Chat, "ChatMessage"> = readEntity<Chat>({});
const store = new Store(client, { commands: "/api" });
const session = store.session("s");
const list = session.entities("ChatMessage");
check<Same<typeof list[number]["payload"]["text"], string | undefined>>();
// @ts-expect-error there is no such kind
session.entity("Message", "1");
await session.command("ChatStartInference", { prompt: "hi" }, { optimistic: [{ kind: "ChatMessage", id: "m", payload: { text: "hi" } }] });
await store.send("s", "ChatStopInference", {});
// @ts-expect-error there is no such field
await session.command("ChatStartInference", { promt: "hi" });
// @ts-expect-error a prompt is text
await session.command("ChatStartInference", { prompt: 1 });
// @ts-expect-error it has no fields
await session.command("ChatStopInference", { prompt: "hi" });
// @ts-expect-error it has no fields
await session.command("ChatStopInference", "hi");
// @ts-expect-error there is no such command
await session.command("ChatStart", {});
// @ts-expect-error there is no such kind
await session.command("ChatStopInference", {}, { optimistic: [{ kind: "Message", id: "m", payload: null }] });
// @ts-expect-error a text is text
await session.command("ChatStopInference", {}, { optimistic: [{ kind: "ChatMessage", id: "m", payload: { text: 1 } }] });
for await (const { event } of updates(client, "s")) if (event?.name === "ChatMessageAppended") console.log(event.payload.chunk?.trim(), one, store);

export function hooks() {
  const { entities } = useSession<Chat>();
  const messages = useEntities<Chat, "ChatMessage">("ChatMessage");
  const start = useCommand<Chat, "ChatStartInference">("ChatStartInference");
  // @ts-expect-error there is no such field
  start({ promt: "" });
  return [entities[0]?.payload.text, messages[0]?.payload.text];
}
