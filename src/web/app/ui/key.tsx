/** Asks for the admin key when the server wants one. It is kept in memory alone: a reload asks again. */
import { useEffect, useRef } from 'preact/hooks';
import { keyWanted } from '../api';
import { Dialog, Field } from './parts';

export function KeyPrompt() {
  const input = useRef<HTMLInputElement>(null);
  const wanted = keyWanted.value;
  // The dialog would give the focus to its first button, the one that closes it.
  useEffect(() => input.current?.focus(), [wanted]);
  const submit = (event: Event) => {
    event.preventDefault();
    const key = input.current?.value.trim();
    if (key) wanted?.give(key);
  };
  return (
    <Dialog title="Admin key" open={wanted !== null} onClose={() => wanted?.give(null)}>
      <form onSubmit={submit} class="stack">
        <p class="muted">
          This listener has an <code>admin_key</code>. It is kept in this page's memory alone and sent to
          nobody else.
        </p>
        <Field name="Key">
          {id => (
            <input
              id={id}
              ref={input}
              class="input mono"
              type="password"
              autocomplete="off"
              aria-invalid={wanted?.wrong ? 'true' : 'false'}
            />
          )}
        </Field>
        {wanted?.wrong && (
          <p class="note bad" role="alert">
            That key was refused.
          </p>
        )}
        <footer>
          <button type="submit" class="button primary">
            Use this key
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
