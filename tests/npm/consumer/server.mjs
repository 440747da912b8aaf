/** Renders a snapshot on a server, without a connection. */
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { SessionProvider, useEntities, useSession } from "sessionstream/react";
import { Store } from "sessionstream/store";

const entity = { kind: "Note", id: "n", createdOrdinal: "9007199254740993", lastEventOrdinal: "9007199254740993", payload: { value: "tea" } };
const initial = { kitchen: { ordinal: "9007199254740993", epoch: "7", entities: [entity] } };
const connected = () => {
  throw new Error("a server connects to nothing");
};

function Notes() {
  return `${useSession().ordinal} ${useEntities("Note").map(({ payload }) => payload.value)}`;
}

const store = new Store(connected, { initial });
console.log(renderToString(createElement(SessionProvider, { store, id: "kitchen" }, createElement(Notes))));
