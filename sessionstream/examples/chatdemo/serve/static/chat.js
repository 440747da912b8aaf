/** The chat page: shows what a session is, sends what is written. All it knows comes from the session. */
import { connect } from "/static/sessionstream.js";

const CHAT_MESSAGE = "ChatMessage";
const UNREADABLE = "type.googleapis.com/sessionstream.v1.UnreadablePayload"; // in the place of what the server cannot show
const NOT_SHOWN = { text: "This message cannot be shown.", status: "unreadable" };
const NEAR_THE_END = 120; // pixels above the end at which one still reads along

const element = (id) => document.getElementById(id);
const messages = element("messages");
const prompt = element("prompt");

// -- the session: a fold of its snapshot and of the events after it ----------------------------------------------

const shown = new Map(); // message id → what is known of it, and its element

function replaceAll({ entities }) {
  const present = entities.filter(({ kind }) => kind === CHAT_MESSAGE);
  const ids = new Set(present.map(({ id }) => id));
  for (const [id, { item }] of shown) if (!ids.has(id)) forget(id, item);
  present.forEach(({ id, payload }) => show(id, payload["@type"] === UNREADABLE ? NOT_SHOWN : payload));
  present.forEach(({ id }) => messages.append(shown.get(id).item)); // in the order of the timeline
  settle();
}

function apply({ name, payload }) {
  if (payload["@type"] === UNREADABLE) return; // whose it is cannot be known; the next snapshot has the message
  show(payload.messageId, payload);
  if (name === "ChatMessageFinished") announce(payload.text ?? "");
  if (name === "ChatMessageStopped") announce("The answer was stopped.");
  settle();
}

function show(id, { role = "", text = "", status = "" }) {
  let known = shown.get(id);
  if (!known) {
    known = { item: newItem(id, role) };
    shown.set(id, known);
    messages.append(known.item);
  }
  if (known.text === text && known.status === status) return;
  Object.assign(known, { text, status });
  known.item.dataset.status = status;
  known.item.querySelector("p").textContent = text;
  known.item.querySelector("small").hidden = status !== "stopped";
}

function newItem(id, role) {
  const item = document.createElement("li");
  item.className = "message";
  Object.assign(item.dataset, { id, role });
  const who = document.createElement("span");
  who.className = "unseen";
  who.textContent = role === "user" ? "You" : "Answer";
  const note = document.createElement("small");
  note.textContent = "Stopped";
  item.append(who, document.createElement("p"), note);
  return item;
}

function forget(id, item) {
  shown.delete(id);
  item.remove();
}

/** What follows from the messages: whether there are any, whether one is being streamed, where to look. */
function settle() {
  element("empty").hidden = shown.size > 0;
  const streaming = [...shown.values()].some(({ status }) => status === "streaming");
  if (!streaming && document.activeElement === element("stop")) prompt.focus();
  element("stop").hidden = !streaming;
  if (readsAlong) toTheEnd();
}

let readsAlong = true;
addEventListener("scroll", () => {
  const { scrollHeight, clientHeight, scrollTop } = document.documentElement;
  readsAlong = scrollHeight - clientHeight - scrollTop < NEAR_THE_END;
});

new ResizeObserver(() => readsAlong && toTheEnd()).observe(document.querySelector("footer"));

function toTheEnd() {
  scrollTo({ top: document.documentElement.scrollHeight });
}

function announce(words) {
  element("announcer").textContent = words;
}

// -- the connection ----------------------------------------------------------------------------------------------

const client = connect("/ws", { onState: showState });
let subscription = null;
let countdown;

const UNREACHABLE = "The server cannot be reached.";

const WORDS = {
  connecting: () => "Connecting",
  live: () => "Live",
  closed: () => "Disconnected",
  reconnecting: waiting,
  refused: () => "Not let in",
};

function showState(change) {
  clearInterval(countdown);
  const due = performance.now() + (change.retryIn ?? 0);
  const write = () => {
    element("state-text").textContent = WORDS[change.state](Math.ceil((due - performance.now()) / 1_000));
  };
  write();
  if (change.state === "reconnecting") {
    countdown = setInterval(write, 250);
    announce("The connection was lost.");
  }
  if (change.state === "refused") announce("The server does not let this page in.");
  const waited = !element("retry").hidden;
  if (change.state === "live" && waited) announce("Connected again.");
  if (change.state === "live" && element("problem").textContent.startsWith(UNREACHABLE)) report("");
  element("state").dataset.state = change.state;
  element("retry").hidden = change.retryIn === undefined;
}

function waiting(seconds) {
  if (!navigator.onLine) return "Offline";
  return seconds > 0 ? `Back in ${seconds} s` : "Reconnecting";
}

function watch() {
  subscription?.unsubscribe();
  shown.forEach(({ item }, id) => forget(id, item));
  element("empty").hidden = element("stop").hidden = true; // until the snapshot is there
  readsAlong = true;
  report("");
  subscription = client.subscribe(sessionId(), {
    onSnapshot: replaceAll,
    onEvent: apply,
    onEnd: (why) => report(`This chat cannot be shown any longer${why ? `: ${why.message}` : ""}. Reload to try again.`),
  });
}

/** The session is in the address, so that a reload, a bookmark or another tab leads to the same one. */
function sessionId() {
  const id = location.hash.slice(1);
  try {
    return decodeURIComponent(id);
  } catch {
    return id; // a % of somebody's own
  }
}

function newSessionId() {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return `chat-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

// -- what the reader does ----------------------------------------------------------------------------------------

async function submit(name, payload, more = {}) {
  const body = JSON.stringify({ sessionId: sessionId(), payload, ...more });
  let answer;
  try {
    answer = await fetch(`/commands/${name}`, { method: "POST", headers: { "content-type": "application/json" }, body });
  } catch {
    throw new Error(UNREACHABLE);
  }
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `The server answered ${answer.status}.`);
}

let draft = { text: "", key: "" }; // sent again, it has the same key, and is taken once at most

async function send(text) {
  if (!text.trim() || element("send").disabled) return;
  if (draft.text !== text) draft = { text, key: newSessionId() };
  element("send").disabled = true;
  try {
    await submit("ChatStartInference", { prompt: text }, { idempotencyKey: draft.key });
    draft = { text: "", key: "" };
    if (prompt.value === text) prompt.value = "";
    report("");
    readsAlong = true;
    toTheEnd();
  } catch (error) {
    prompt.value ||= text;
    report(`${error.message} Your message is still in the box.`);
  } finally {
    element("send").disabled = false;
  }
}

async function stop() {
  try {
    await submit("ChatStopInference", {});
    report("");
  } catch (error) {
    report(`${error.message} The answer was not stopped.`);
  }
}

function report(words) {
  element("problem").textContent = words;
  element("problem").hidden = !words;
}

element("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  void send(prompt.value);
});
prompt.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  void send(prompt.value);
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !element("stop").hidden) void stop();
});
element("stop").addEventListener("click", () => void stop());
element("retry").addEventListener("click", () => client.reconnect());
element("new").addEventListener("click", () => {
  location.hash = newSessionId();
  prompt.focus();
});
element("suggestions").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button) void send(button.textContent.replace(/\s+/g, " ").trim());
});
addEventListener("hashchange", watch);
element("send").disabled = false; // until here, a press would have reloaded the page

if (!location.hash) history.replaceState(null, "", `#${newSessionId()}`);
watch();
