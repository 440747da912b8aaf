// Scenes with the official AG-UI client: node agui.mjs SCENE URL OTHER_URL. Prints what the client holds, as JSON.
import { HttpAgent } from "@ag-ui/client";

const [scene, here, there] = process.argv.slice(2);

const texts = (agent) => Object.fromEntries(agent.messages.map((each) => [each.role, each.content]));

function tab(base, threadId = "s") {
  return new HttpAgent({ url: `${base}/agent/`, threadId });
}

/** Run an agent; call `at` with each event. Returns the types of the events, and how the run ended. */
async function run(agent, at = () => {}) {
  const events = [];
  await agent.runAgent({}, {
    onEvent({ event }) {
      events.push(event);
      at(event, events);
    },
  });
  return events;
}

const ask = (agent, content) => agent.addMessage({ id: `u-${content.slice(0, 20)}`, role: "user", content });
const deltas = (events) => events.filter((event) => event.type === "TEXT_MESSAGE_CONTENT").length;
const post = (url, body = {}) =>
  fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const leaveAfter = (agent, count) => (event, events) => {
  if (deltas(events) === count) agent.abortRun();
};

const scenes = {
  async start() {
    const agent = tab(here);
    ask(agent, "hello");
    const events = await run(agent);
    return { texts: texts(agent), first: events[0].type, last: events.at(-1).type, deltas: deltas(events) > 1 };
  },

  async leave_and_come_back() {
    const agent = tab(here);
    ask(agent, "x".repeat(400));
    await run(agent, leaveAfter(agent, 2)).catch(() => {});
    const left = texts(agent).assistant.length;
    const events = await run(agent);
    return { left: left < 408, texts: texts(agent), started: events[0].type, sent_again: agent.messages.length };
  },

  async second_tab() {
    const one = tab(here);
    const two = tab(there);
    ask(one, "x".repeat(400));
    let joined;
    const events = await run(one, (event, events) => {
      if (deltas(events) === 2 && !joined) joined = run(two);
    });
    await joined;
    return { same: JSON.stringify(texts(one)) === JSON.stringify(texts(two)), texts: texts(two), deltas: deltas(events) > 5 };
  },

  async stop() {
    const agent = tab(here);
    ask(agent, "x".repeat(2000));
    let stopped;
    const events = await run(agent, (event, events) => {
      if (deltas(events) === 2 && !stopped) stopped = post(`${there}/sessions/s/commands/ChatStopInference`);
    });
    await stopped;
    const snapshot = await (await fetch(`${here}/api/chat/s/messages`)).json();
    const stored = snapshot.find((each) => each.role === "assistant").parts[0].text;
    return { outcome: events.at(-1).outcome, equal: stored === texts(agent).assistant, whole: stored.length > 2000 };
  },

  async rebuild() {
    const agent = tab(here);
    ask(agent, "x".repeat(400));
    let rebuilt;
    const events = await run(agent, (event, events) => {
      if (deltas(events) === 3 && !rebuilt) rebuilt = post(`${there}/rebuild`);
    });
    await rebuilt;
    return { texts: texts(agent), last: events.at(-1).type };
  },

  async nothing_runs() {
    const agent = tab(here);
    ask(agent, "hello");
    await run(agent);
    const again = tab(there);
    const events = await run(again);
    return { texts: texts(again), types: events.map((event) => event.type) };
  },

  /** Leave within the input of a tool call, and while it runs; come back each time, beside a second tab. */
  async tools() {
    const one = tab(here);
    ask(one, "the weather?");
    await run(one, ({ type }) => type === "TOOL_CALL_ARGS" && one.abortRun()).catch(() => {});
    const left = one.messages.at(-1).toolCalls[0].function.arguments;
    const two = tab(there);
    let second;
    await run(one, ({ type }) => {
      if (type === "TOOL_CALL_START") second ??= run(two, (event) => event.type === "TOOL_CALL_START" && post(`${here}/go`));
      if (type === "TOOL_CALL_END") one.abortRun();
    }).catch(() => {});
    const running = one.messages.at(-1);
    const events = await run(one, ({ type }) => type === "MESSAGES_SNAPSHOT" && post(`${there}/go`));
    const seen = await second;
    const fresh = tab(there);
    await run(fresh);
    const sorted = (_, value) => (value?.constructor === Object ? Object.fromEntries(Object.entries(value).sort()) : value);
    const json = (agent) => JSON.stringify([agent.messages, agent.state], sorted);
    return {
      left,
      running,
      same: json(one) === json(two) && json(two) === json(fresh),
      messages: fresh.messages,
      state: fresh.state,
      types: [...new Set(seen.map((event) => event.type))],
      last: events.at(-1).type,
    };
  },

  async refused() {
    const agent = tab(here);
    ask(agent, " ");
    const events = await run(agent).catch((error) => [{ type: "THROWN", message: `${error}` }]);
    return { last: events.at(-1) };
  },
};

console.log(JSON.stringify(await scenes[scene]()));
process.exit(0);
