/** The public API as it is used, checked by a TypeScript compiler and never run. */
import { connect, Protocol, Refused } from "sessionstream";
import type { ClientError, EndReason, Entity, Options, Payload, Snapshot, StateChange, Subscription, UnreadablePayload } from "sessionstream";

const options: Options = {
  floor: 100,
  first: 200,
  ceiling: 5_000,
  heartbeat: 20_000,
  patience: 20_000,
  hurryPatience: 5_000,
  random: Math.random,
  WebSocket,
  refusal: (status, attempt) => status !== 401 || attempt < 5,
  protocols: async () => ["sessionstream.v1", `token.${await Promise.resolve("t")}`],
  onState({ state, status, code, reason, retryIn }: StateChange) {
    const words: "connecting" | "live" | "reconnecting" | "refused" | "closed" = state;
    console.log(words, status?.toFixed(), code?.toFixed(), reason?.trim(), retryIn?.toFixed());
  },
  onError: (error: ClientError) => console.log(error.code, error.sessionId),
};

const client = connect(new URL("ws://127.0.0.1/ws"), options);
connect(() => new URL("ws://127.0.0.1/ws")).close();
connect(async () => {
  throw new Refused(401, "signed out");
}).close();
const unreadable = (payload: Payload): payload is UnreadablePayload =>
  payload["@type"] === "type.googleapis.com/sessionstream.v1.UnreadablePayload";
const held: Entity[] = [];
const subscription: Subscription = client.subscribe("session-1", {
  onSnapshot({ ordinal, epoch, entities }: Snapshot) {
    held.push(...entities);
    const next: bigint = ordinal + epoch + (entities[0]?.createdOrdinal ?? 0n);
    console.log(next);
  },
  onEvent: ({ ordinal, name, payload }) => console.log(ordinal + 1n, name.length, payload["@type"]),
  onEnd: (why: EndReason | null) => console.log(why?.code, why?.close, why?.status),
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
if (held[0] && unreadable(held[0].payload)) console.log(held[0].payload.type?.trim(), held[0].payload.reason);

// @ts-expect-error what is asked anew is known from the functions
connect("/ws", { asksAnew: true });
// @ts-expect-error times are numbers
connect("/ws", { floor: "1" });
