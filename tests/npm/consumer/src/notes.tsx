/** The notes of a session, and a form for one more. */
import type { MouseEventHandler } from "react";
import { useEntities, useCommand, useSession } from "sessionstream/react";

export function Notes() {
  const { status } = useSession();
  const notes = useEntities("Note");
  const add = useCommand("AddNote");
  function send(form: FormData) {
    const text = String(form.get("text"));
    const optimistic = [{ kind: "Note", id: text, payload: { text } }] as const;
    add({ text }, { optimistic }).catch((error: Error) => (document.title = error.message));
  }
  return (
    <form action={send}>
      <output>{status}</output>
      <ul>{notes.map(({ id, payload, pending }) => <li key={id} className={pending ? "pending" : "kept"}>{payload.text}</li>)}</ul>
      <input name="text" aria-label="text" />
      <button type="button" onClick={add as unknown as MouseEventHandler}>as JavaScript lets people write it</button>
    </form>
  );
}
