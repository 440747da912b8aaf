/** Phase 2: a client of each session of the last burst, at the hub that consumes. */
import { showClients } from "/static/clients.js";

showClients({
  sessions: ["a", "b"],
  words: "They are connected to the hub that consumes. Their frames have the ordinals that this hub has assigned.",
});
