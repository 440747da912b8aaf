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

/** Read a stream; call `at` with the message after each part, until it returns true. Returns the last message and the types of its parts. */
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
    if (await at(now, types)) break;
  }
  return { text: text(held), types, id: held?.id, error, parts: held?.parts };
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

  /** Leave within the input of a tool call, and while it runs; come back each time; two tabs see the rest. */
  async tools() {
    const rejoin = (base) => transport(base).reconnectToStream({ chatId: "s" });
    const leaving = new AbortController();
    await read(await send(here, "the weather?", leaving.signal), (now, types) => {
      if (types.includes("tool-input-delta")) leaving.abort();
    }).catch(() => null);
    let going;
    const running = await read(await rejoin(there), (now, types) => {
      if (types.includes("tool-input-delta")) going ??= post(`${here}/go`);
      return types.includes("tool-input-available");
    });
    const tabs = await Promise.all([here, there].map(rejoin));
    const reading = Promise.all(tabs.map((stream) => read(stream)));
    await post(`${there}/go`);
    const [one, two] = await reading;
    const stored = (await (await fetch(`${there}/api/chat/s/messages`)).json()).at(-1);
    const shown = ({ type, state, input, output, errorText, text, data }) => ({ type, state, input, output, errorText, text, data });
    return {
      running: running.parts.at(-1),
      same: JSON.stringify([one.id, one.parts]) === JSON.stringify([two.id, two.parts]),
      parts: two.parts.map(shown),
      stored: stored.id === two.id ? stored.parts.map(shown) : stored,
      last: one.types.at(-1),
    };
  },

  async refused() {
    const { types, error } = await read(await send(here, " "));
    return { last: types.at(-1), error };
  },
};

console.log(JSON.stringify(await scenes[scene]()));
process.exit(0);
