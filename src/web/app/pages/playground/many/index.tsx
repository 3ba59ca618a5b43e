/** Many prompts to both sides: what it would cost, how soon it would begin, and which answers are better. */
import './many.css';
import { signal, useSignal } from '@preact/signals';
import { setFragment } from '../../../nav';
import { Check, Field, Icon } from '../../../ui/parts';
import { toast } from '../../../ui/toast';
import { EXAMPLES } from '../composer';
import { atOnce, blind } from '../settings';
import { active, batch, begin, finished, halt } from './batch';
import { MOST, type Read, readPrompts } from './prompts';
import { Results } from './results';

const text = signal('');
const fileName = signal('');

/** Twenty prompts of several kinds, to try it with. */
const TWENTY = [
  ...EXAMPLES,
  'Refactor this class so that it can be tested',
  'Why does my test pass alone and fail with the others?',
  'Complete this line: const total = items.reduce(',
  'Make this query faster: SELECT * FROM orders WHERE lower(email) = ?',
  'Design a queue that survives a crash of its broker',
  'What does this function do? def f(n): return n if n < 2 else f(n-1) + f(n-2)',
  'Add property-based tests for a parser of dates',
  'My container exits with code 137, what is wrong?',
  'Write a shell script that renames files by their date',
  'Explain how this mutex could deadlock',
  'How should we split this monolith into services?',
  'What is the capital of Australia?',
  'Generate a TypeScript type for this JSON: {"id": 1, "tags": ["a"]}',
  'Speed up this loop over ten million rows in pandas',
].slice(0, 20);

export function Many() {
  return (
    <div class="many stack">
      <Input />
      {batch.value && <Results batch={batch.value} />}
    </div>
  );
}

function Input() {
  const read = readPrompts(text.value, fileName.value);
  const over = useSignal(false);
  const take = async (file: File | undefined) => {
    if (!file) return;
    if (file.size > 5_000_000)
      return toast('That file has more than 5 MB: these are too many prompts for one run.', 'bad');
    fileName.value = file.name;
    text.value = await file.text();
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    over.value = false;
    take(event.dataTransfer?.files[0]);
  };
  return (
    <section
      class={`card prompts ${over.value ? 'over' : ''}`}
      aria-label="Prompts"
      onDragOver={event => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => (over.value = false)}
      onDrop={drop}
    >
      <Field name={`Prompts, one a line (at most ${MOST})`} hint={summary(read)}>
        {id => (
          <textarea
            id={id}
            class="input mono"
            rows={6}
            placeholder={'One prompt a line, or JSON lines: {"prompt": "…"} or {"messages": […]}'}
            value={text.value}
            onInput={event => {
              text.value = event.currentTarget.value;
              // An edited file is still what it was; an empty box is nothing.
              if (text.value.trim() === '') fileName.value = '';
            }}
          />
        )}
      </Field>
      {read.faults.length > 0 && (
        <ul class="note warn small">
          {read.faults.slice(0, 5).map(fault => (
            <li key={fault}>{fault}</li>
          ))}
          {read.faults.length > 5 && <li>and {read.faults.length - 5} more</li>}
        </ul>
      )}
      <div class="row">
        <Upload onFile={take} />
        <button
          type="button"
          class="button"
          onClick={() => {
            fileName.value = '';
            text.value = TWENTY.join('\n');
          }}
        >
          Twenty examples
        </button>
        <label class="row small">
          At once
          <select
            class="input at-once"
            value={atOnce.value}
            onChange={event => setFragment({ 'at-once': event.currentTarget.value })}
          >
            <option>1</option>
            <option>2</option>
            <option>3</option>
          </select>
        </label>
        <Check
          checked={blind.value}
          onChange={on => setFragment({ blind: on ? '1' : null })}
          title="Names and figures of a pair stay hidden until you have voted"
        >
          Blind votes
        </Check>
        <span class="row push">
          {active.value ? (
            <button type="button" class="button danger" onClick={halt}>
              <Icon name="stop" /> Cancel
            </button>
          ) : (
            <button
              type="button"
              class="button primary"
              disabled={read.prompts.length === 0}
              onClick={() => begin(read.prompts, atOnce.value)}
            >
              <Icon name="play" /> Run {read.prompts.length > 0 ? read.prompts.length : ''}
            </button>
          )}
        </span>
      </div>
      {batch.value && <Progress />}
    </section>
  );
}

function summary({ prompts, leftOut }: Read): string {
  if (prompts.length === 0)
    return 'Paste them, drop a file here, or upload one: .txt, .csv (a column prompt or text), .jsonl.';
  const left = leftOut > 0 ? `; ${leftOut} more are left out` : '';
  return `${prompts.length} ${prompts.length === 1 ? 'prompt' : 'prompts'}, two requests each${left}.`;
}

function Upload({ onFile }: { onFile: (file: File | undefined) => void }) {
  return (
    <label class="button upload">
      <Icon name="up" /> Upload a file
      <input
        type="file"
        class="unseen"
        accept=".txt,.csv,.jsonl,.ndjson,text/plain,text/csv,application/jsonl"
        onChange={event => {
          onFile(event.currentTarget.files?.[0]);
          event.currentTarget.value = '';
        }}
      />
    </label>
  );
}

function Progress() {
  const all = batch.value?.rows.length ?? 0;
  const done = finished.value;
  const words = active.value
    ? `${done} of ${all}`
    : done === all
      ? `All ${all} are done.`
      : `Cancelled after ${done} of ${all}.`;
  return (
    <div class="progress">
      <progress max={all} value={done} aria-label="Prompts done" />
      <span class="small muted" role="status">
        {/* Read out at the tenths alone: every step would be noise. */}
        <span class="unseen">
          {active.value ? `${Math.floor((done / Math.max(1, all)) * 10) * 10} percent` : words}
        </span>
        <span aria-hidden="true">{words}</span>
      </span>
    </div>
  );
}
