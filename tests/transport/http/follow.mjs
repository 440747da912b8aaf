// Follows a session with the npm package `eventsource`, and prints what it gets as lines of JSON.
// Its directory is the first argument, the URL the second. It ends with its standard input.

import { createRequire } from "node:module";

const { EventSource } = createRequire(`${process.argv[2]}/`)("eventsource");
const say = (line) => console.log(JSON.stringify(line));

const source = new EventSource(process.argv[3]);
source.onopen = () => say({ open: true });
source.onmessage = (event) => say({ id: event.lastEventId, frame: JSON.parse(event.data) });
source.onerror = (error) => say({ error: source.readyState, status: error.code ?? 0 });
process.stdin.on("end", () => source.close()).resume();
