/** Where the prompt is written. Enter sends, Shift and Enter make a new line. */
import { signal, useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { setFragment } from '../../nav';
import { Field, Icon } from '../../ui/parts';
import { ask, busy, clear, stop, system, turns } from './conversation';
import { maxTokens } from './settings';

export const EXAMPLES = [
  'Explain what this regular expression matches: ^(\\d{3})-\\d+$',
  'Write unit tests for a function that parses dates',
  'This loop never ends, why? while i < 10: print(i)',
  'Write a function that merges two sorted lists',
  'Translate this paragraph into French',
  'How many moons has Jupiter?',
];

export const draft = signal('');

export function Composer() {
  const input = useRef<HTMLTextAreaElement>(null);
  const more = useSignal(system.peek() !== '' || maxTokens.peek() !== null);
  useLayoutEffect(() => {
    const element = input.current;
    if (!element) return;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight + 2, 220)}px`;
  }, [draft.value]);
  const submit = (event?: Event) => {
    event?.preventDefault();
    const prompt = draft.peek().trim();
    if (!prompt || busy.peek()) return;
    draft.value = '';
    ask(prompt);
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) submit(event);
  };
  return (
    <form class="composer card" onSubmit={submit} aria-label="Prompt">
      {more.value && <More />}
      <div class="write">
        <textarea
          ref={input}
          class="input"
          rows={1}
          aria-label="Prompt"
          placeholder={turns.value.length > 0 ? 'Go on with both…' : 'Ask both the same…'}
          value={draft.value}
          onInput={event => (draft.value = event.currentTarget.value)}
          onKeyDown={keys}
        />
        {busy.value ? (
          <button type="button" class="button danger" onClick={stop}>
            <Icon name="stop" /> Stop
          </button>
        ) : (
          <button type="submit" class="button primary" disabled={draft.value.trim() === ''}>
            <Icon name="up" /> Send
          </button>
        )}
      </div>
      <div class="row small faint">
        <span class="wide-only">
          <kbd>Enter</kbd> sends, <kbd>Shift</kbd> <kbd>Enter</kbd> is a new line
        </span>
        <span class="row push">
          <button
            type="button"
            class="button quiet small"
            aria-expanded={more.value}
            onClick={() => (more.value = !more.value)}
          >
            {more.value ? 'Fewer settings' : 'More settings'}
          </button>
          {turns.value.length > 0 && (
            <button type="button" class="button quiet small" onClick={clear}>
              New conversation
            </button>
          )}
        </span>
      </div>
    </form>
  );
}

function More() {
  return (
    <div class="more">
      <Field name="System prompt" hint="Sent to both; the classifier does not read it.">
        {id => (
          <textarea
            id={id}
            class="input"
            rows={2}
            value={system.value}
            onInput={event => (system.value = event.currentTarget.value)}
          />
        )}
      </Field>
      <Field name="At most so many tokens" hint="Empty: as the model likes.">
        {id => (
          <input
            id={id}
            class="input"
            type="number"
            min={1}
            inputMode="numeric"
            value={maxTokens.value ?? ''}
            onChange={event => setFragment({ 'max-tokens': event.currentTarget.value })}
          />
        )}
      </Field>
    </div>
  );
}
