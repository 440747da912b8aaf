/** The public API as it is used, checked by a TypeScript compiler and never run. */
import { connect, Protocol } from "sessionstream";
import type { ClientError, EndReason, Entity, Options, Snapshot, StateChange, Subscription } from "sessionstream";

const options: Options = {
  floor: 100,
  first: 200,
  ceiling: 5_000,
  heartbeat: 20_000,
  patience: 20_000,
  hurryPatience: 5_000,
  random: Math.random,
  WebSocket,
  onState({ state, code, reason, retryIn }: StateChange) {
    const words: "connecting" | "live" | "reconnecting" | "closed" = state;
    console.log(words, code?.toFixed(), reason?.trim(), retryIn?.toFixed());
  },
  onError: (error: ClientError) => console.log(error.code, error.sessionId),
};

const client = connect(new URL("ws://127.0.0.1/ws"), options);
const held: Entity[] = [];
const subscription: Subscription = client.subscribe("session-1", {
  onSnapshot({ ordinal, epoch, entities }: Snapshot) {
    held.push(...entities);
    const next: bigint = ordinal + epoch + (entities[0]?.createdOrdinal ?? 0n);
    console.log(next);
  },
  onEvent: ({ ordinal, name, payload }) => console.log(ordinal + 1n, name.length, payload["@type"]),
  onEnd: (why: EndReason | null) => console.log(why?.code, why?.close),
});
subscription.unsubscribe();
client.reconnect();
client.close();
console.log(client.state.state);

const protocol = new Protocol<string>({ random: () => 0 });
for (const effect of [...protocol.start(0), ...protocol.subscribe("session-1", "somebody", 0)]) {
  if (effect.do === "end") console.log(effect.watcher.trim(), effect.error?.code);
  if (effect.do === "send") console.log(JSON.parse(effect.text));
  if (effect.do === "snapshot") console.log(effect.snapshot.entities.length);
}

// @ts-expect-error an ordinal is no number
const wrong: number = protocol.deadline as unknown as Snapshot["ordinal"];
// @ts-expect-error entities are not for changing
held[0].id = "other";
// @ts-expect-error there is no such handler
client.subscribe("session-1", { onSnapshots() {} });
// @ts-expect-error times are numbers
connect("/ws", { floor: "1" });
