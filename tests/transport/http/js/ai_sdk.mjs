// Scenes with the official client of the AI SDK: node ai_sdk.mjs SCENE URL OTHER_URL. Prints JSON.
import { DefaultChatTransport, readUIMessageStream } from "ai";

const [scene, here, there] = process.argv.slice(2);

const transport = (base) => new DefaultChatTransport({ api: `${base}/api/chat` });
const message = (text) => ({ id: `u-${text.slice(0, 20)}`, role: "user", parts: [{ type: "text", text }] });
const text = (held) => held?.parts.filter((part) => part.type === "text").map((part) => part.text).join("") ?? "";
const post = (url, body = {}) =>
  fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

const send = (base, content, abortSignal) =>
  transport(base).sendMessages({
    trigger: "submit-message",
    chatId: "s",
    messageId: undefined,
    messages: [message(content)],
    abortSignal,
  });

/** Read a stream; call `at` with the message after each part. Returns the last message and the types of its parts. */
async function read(stream, at = () => {}) {
  const types = [];
  const seen = stream.pipeThrough(
    new TransformStream({
      transform(part, controller) {
        types.push(part.type);
        controller.enqueue(part);
      },
    }),
  );
  let held;
  let error = "";
  for await (const now of readUIMessageStream({ stream: seen, onError: (failure) => (error = `${failure}`) })) {
    held = now;
    await at(now, types);
  }
  return { text: text(held), types, id: held?.id, error };
}

const scenes = {
  async start() {
    const { text, types, id } = await read(await send(here, "hello"));
    return { text, id, first: types[0], last: types.at(-1) };
  },

  async leave_and_come_back() {
    const leaving = new AbortController();
    const left = await read(await send(here, "x".repeat(400), leaving.signal), (now, types) => {
      if (types.filter((type) => type === "text-delta").length === 2) leaving.abort();
    }).catch(() => null);
    const back = await read(await transport(there).reconnectToStream({ chatId: "s" }));
    return { left: left === null || left.text.length < 408, text: back.text, first: back.types[0], last: back.types.at(-1) };
  },

  async second_tab() {
    let second;
    const first = await read(await send(here, "x".repeat(400)), (now, types) => {
      if (types.length > 4 && !second) second = transport(there).reconnectToStream({ chatId: "s" }).then((each) => read(each));
    });
    return { texts: [first.text, (await second).text], ids: first.id === (await second).id };
  },

  async stop() {
    let stopped;
    const held = await read(await send(here, "x".repeat(2000)), (now, types) => {
      if (types.length > 4 && !stopped) stopped = post(`${there}/sessions/s/commands/ChatStopInference`);
    });
    await stopped;
    const stored = (await (await fetch(`${here}/api/chat/s/messages`)).json()).at(-1);
    return { last: held.types.at(-1), equal: stored.parts[0].text === held.text, whole: held.text.length > 2000 };
  },

  async rebuild() {
    let rebuilt;
    const held = await read(await send(here, "x".repeat(400)), (now, types) => {
      if (types.length > 4 && !rebuilt) rebuilt = post(`${there}/rebuild`);
    });
    await rebuilt;
    return { text: held.text, last: held.types.at(-1) };
  },

  async nothing_runs() {
    await read(await send(here, "hello"));
    const none = await transport(there).reconnectToStream({ chatId: "s" });
    const again = await read(await send(there, "hello"));
    const messages = await (await fetch(`${there}/api/chat/s/messages`)).json();
    return { none, text: again.text, messages: messages.map((each) => [each.role, each.parts[0].text]) };
  },

  async refused() {
    const { types, error } = await read(await send(here, " "));
    return { last: types.at(-1), error };
  },
};

console.log(JSON.stringify(await scenes[scene]()));
process.exit(0);
