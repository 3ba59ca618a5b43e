/** The text, with its line numbers and what is wrong at the line where it is wrong. A plain text area: undo, search and screen readers work as everywhere. */
import type { Ref } from 'preact';
import { useMemo } from 'preact/hooks';
import { byLine, type Mark } from './faults';

type Props = {
  yaml: string;
  marks: Mark[];
  readOnly: boolean;
  onType: (yaml: string) => void;
  area: Ref<HTMLTextAreaElement>;
};

export function YamlPane({ yaml, marks, readOnly, onType, area }: Props) {
  const lines = useMemo(() => yaml.split('\n'), [yaml]);
  const marked = useMemo(() => byLine(marks), [marks]);
  const longest = lines.reduce((most, line) => Math.max(most, line.length), 0);
  return (
    <div class="code mono">
      <ol class="gutter" aria-hidden="true">
        {lines.map((line, place) => (
          <Line key={place} number={place + 1} length={line.length} marks={marked.get(place + 1) ?? []} />
        ))}
      </ol>
      <textarea
        ref={area}
        id="router-yaml"
        aria-label="Router as YAML"
        aria-describedby="router-problems"
        aria-invalid={marks.some(({ severity }) => severity === 'fault')}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        wrap="off"
        readOnly={readOnly}
        rows={lines.length}
        style={{ width: `calc(${longest + 2}ch + 20px)` }}
        value={yaml}
        onInput={event => onType(event.currentTarget.value)}
        onKeyDown={keepIndent}
      />
    </div>
  );
}

function Line({ number, length, marks }: { number: number; length: number; marks: Mark[] }) {
  const worst = marks.find(({ severity }) => severity === 'fault') ?? marks[0];
  return (
    <li class={worst?.severity ?? ''}>
      {number}
      {worst && (
        <span class="lens" style={{ '--after': `${length + 2}ch` }}>
          {worst.message}
          {marks.length > 1 && ` (and ${marks.length - 1} more)`}
        </span>
      )}
    </li>
  );
}

/** A new line begins where the last one did. */
function keepIndent(event: KeyboardEvent & { currentTarget: HTMLTextAreaElement }) {
  if (event.key !== 'Enter' || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  const { value, selectionStart, readOnly } = event.currentTarget;
  const line = value.slice(value.lastIndexOf('\n', selectionStart - 1) + 1, selectionStart);
  const indent = /^ */.exec(line)?.[0] ?? '';
  if (readOnly || indent === '') return;
  event.preventDefault();
  // The one way that keeps the text area's own undo.
  document.execCommand('insertText', false, `\n${indent}`);
}

/** Puts the cursor at a line and column, from 1, and brings it into view. */
export function goTo(area: HTMLTextAreaElement | null, line: number, column: number): void {
  if (!area) return;
  const lines = area.value.split('\n');
  const before = lines.slice(0, Math.max(0, line - 1)).reduce((sum, text) => sum + text.length + 1, 0);
  const place = before + Math.max(0, column - 1);
  area.focus({ preventScroll: true });
  area.setSelectionRange(place, place);
  const box = area.parentElement;
  const height = area.clientHeight / Math.max(1, lines.length);
  box?.scrollTo({ top: Math.max(0, (line - 4) * height), left: 0 });
  box?.scrollIntoView({ block: 'nearest' });
}
