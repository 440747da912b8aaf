/** Shows the entities of a session, each by its id. */
import { connect } from "sessionstream";

const list = document.querySelector("#entities")!;

connect("/ws").subscribe("session-1", {
  onSnapshot: ({ entities }) => list.replaceChildren(...entities.map(({ id }) => Object.assign(document.createElement("li"), { textContent: id }))),
});
