/**
 * Watches sessions and prints what comes as JSON lines: `node follow.mjs URL SESSION...`. OPTIONS, in the environment,
 * are options of the client, as JSON.
 *
 * A line on stdin is an order: {"subscribe": ID}, {"unsubscribe": ID}, {"reconnect": true}, {"close": true}, or
 * {"scroll": {rows, view, every}}: subscribe to "row-0" to "row-<rows - 1>", one more every so many milliseconds, and of
 * these only to the last `view`. It ends when it is closed.
 */
import { createInterface } from "node:readline";

import { connect } from "../../../sessionstream/transport/ws/static/sessionstream.js";

const [url, ...sessionIds] = process.argv.slice(2);
const plain = (_, value) => (typeof value === "bigint" ? String(value) : value);
const print = (line) => console.log(JSON.stringify(line, plain));

const orders = createInterface({ input: process.stdin });
const client = connect(url, {
  floor: 20,
  first: 50,
  ceiling: 200,
  ...JSON.parse(process.env.OPTIONS),
  onState(change) {
    print({ state: change });
    if (change.state === "closed") process.stdin.destroy(); // nothing else keeps the process
  },
  onError: (error) => print({ error }),
});

const subscriptions = new Map();
function subscribe(sessionId) {
  const handlers = {
    onSnapshot: (snapshot) => print({ snapshot }),
    onEvent: (event) => print({ event }),
    onEnd: (error) => print({ end: { sessionId, error } }),
  };
  subscriptions.set(sessionId, client.subscribe(sessionId, handlers));
}

function unsubscribe(sessionId) {
  subscriptions.get(sessionId).unsubscribe();
  subscriptions.delete(sessionId);
}

async function scroll({ rows, view, every }) {
  for (let row = 0; row < rows; row++) {
    if (row >= view) unsubscribe(`row-${row - view}`);
    subscribe(`row-${row}`);
    if (every) await new Promise((resolve) => setTimeout(resolve, every));
  }
}

sessionIds.forEach(subscribe);
orders.on("line", (line) => {
  const order = JSON.parse(line);
  if (order.subscribe) subscribe(order.subscribe);
  if (order.unsubscribe) unsubscribe(order.unsubscribe);
  if (order.scroll) void scroll(order.scroll);
  if (order.reconnect) client.reconnect();
  if (order.close) client.close();
});
