/** Shows the entities of a session, each by its id. */
import { connect } from "sessionstream";
import { Store } from "sessionstream/store";

const list = document.querySelector("#entities")!;
const session = new Store(() => connect("/ws")).session("session-1");

session.subscribe(() =>
  list.replaceChildren(...session.entities().map(({ id }) => Object.assign(document.createElement("li"), { textContent: id }))),
);
