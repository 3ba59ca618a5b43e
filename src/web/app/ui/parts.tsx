/** The building blocks that every page uses. Figures are formatted by `format.ts`, colors and sizes are in `tokens.css`. */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { type ApiError, asApiError } from '../api';
import { percent } from './format';

type Children = { children?: ComponentChildren };
export type Tone = 'plain' | 'accent' | 'good' | 'warn' | 'bad';

/** A panel with a heading of level 2, so that pages read as an outline. */
export function Card(
  props: Children & { title?: ComponentChildren; end?: ComponentChildren; class?: string; flush?: boolean },
) {
  const id = useId();
  return (
    <section class={`card ${props.class ?? ''}`} aria-labelledby={props.title ? id : undefined}>
      {props.title && (
        <header>
          <h2 id={id}>{props.title}</h2>
          {props.end && <div class="row push">{props.end}</div>}
        </header>
      )}
      {props.flush ? props.children : <div class="body">{props.children}</div>}
    </section>
  );
}

export function Tag({ tone = 'plain', children, title }: Children & { tone?: Tone; title?: string }) {
  return (
    <span class={`tag ${tone}`} title={title}>
      {children}
    </span>
  );
}

/** One figure with its name above it and, if need be, a line below. */
export function Figure({
  name,
  value,
  note,
  tone,
}: {
  name: ComponentChildren;
  value: ComponentChildren;
  note?: ComponentChildren;
  tone?: Tone;
}) {
  return (
    <div>
      <div class="label">{name}</div>
      <div class="figure" style={tone && tone !== 'plain' ? { color: `var(--${tone})` } : {}}>
        {value}
      </div>
      {note && <div class="small muted">{note}</div>}
    </div>
  );
}

/** A labelled control; the child is given the id that the label points at. */
export function Field({
  name,
  hint,
  children,
  class: more,
}: {
  name: ComponentChildren;
  hint?: ComponentChildren;
  class?: string;
  children: (id: string) => ComponentChildren;
}) {
  const id = useId();
  return (
    <div class={`field ${more ?? ''}`}>
      <label for={id}>{name}</label>
      {children(id)}
      {hint && <span class="hint">{hint}</span>}
    </div>
  );
}

export function Check({
  checked,
  onChange,
  children,
  ...rest
}: Children & { checked: boolean; onChange: (on: boolean) => void; title?: string; disabled?: boolean }) {
  return (
    <label class="check" {...rest}>
      <input
        type="checkbox"
        checked={checked}
        disabled={rest.disabled ?? false}
        onChange={event => onChange(event.currentTarget.checked)}
      />
      <span>{children}</span>
    </label>
  );
}

/** A share as a bar, with the threshold as a line. The figure itself belongs beside it: the bar is not read out. */
export function Bar({
  share,
  threshold,
  accent,
}: {
  share: number | null;
  threshold?: number | null;
  accent?: boolean;
}) {
  const width = `${Math.min(1, Math.max(0, share ?? 0)) * 100}%`;
  return (
    <span class={`bar ${accent ? 'accent' : ''}`} aria-hidden="true">
      <i style={{ width }} />
      {threshold != null && <b style={{ left: `${threshold * 100}%` }} />}
    </span>
  );
}

/** Amounts that make up a whole, side by side. `whole` larger than their sum leaves the rest of the track empty. */
export function Parts({ parts, whole }: { parts: { amount: number; color: string }[]; whole?: number }) {
  const sum = parts.reduce((all, part) => all + part.amount, 0);
  const scale = Math.max(whole ?? sum, sum) || 1;
  return (
    <span class="parts" aria-hidden="true">
      {parts
        .filter(part => part.amount > 0)
        .map(part => (
          <i key={part.color} style={{ width: `${(part.amount / scale) * 100}%`, background: part.color }} />
        ))}
    </span>
  );
}

export type Column<Row> = {
  name: ComponentChildren;
  /** What the cell shows. The first column is the row's header. */
  cell: (row: Row) => ComponentChildren;
  number?: boolean;
  class?: string;
};

/** A table with a caption for those who do not see its surroundings. Rows that can be opened have a button of their own. */
export function Table<Row>(props: {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  keyOf: (row: Row) => string | number;
  empty?: ComponentChildren;
  onPress?: (row: Row) => void;
}) {
  const { columns, rows, onPress } = props;
  // A table wider than its box scrolls, and whoever has only a keyboard must reach it.
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus
    <div role="group" class="table-box" tabIndex={0} aria-label={props.caption}>
      <table class="table">
        <caption class="unseen">{props.caption}</caption>
        <thead>
          <tr>
            {columns.map((column, place) => (
              <th key={place} scope="col" class={column.number ? 'number' : ''}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <tr
              key={props.keyOf(row)}
              class={onPress ? 'pressable' : ''}
              {...(onPress ? { onClick: () => onPress(row) } : {})}
            >
              {columns.map((column, place) =>
                place === 0 ? (
                  <th
                    key={place}
                    scope="row"
                    class={`${column.number ? 'number' : ''} ${column.class ?? ''}`}
                  >
                    {column.cell(row)}
                  </th>
                ) : (
                  <td key={place} class={`${column.number ? 'number' : ''} ${column.class ?? ''}`}>
                    {column.cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <div class="empty small">{props.empty ?? 'Nothing yet.'}</div>}
    </div>
  );
}

type Box = Children & {
  title: ComponentChildren;
  open: boolean;
  onClose: () => void;
  kind?: 'dialog' | 'drawer';
  end?: ComponentChildren;
};

/** A modal box, at the middle (`dialog`) or at the right (`drawer`). Escape and a press beside it close it. */
export function Dialog({ title, open, onClose, kind = 'dialog', end, children }: Box) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  // The event of a close comes later, when the box may be open again for another reason: ours says nothing new.
  const ours = useRef(false);
  useEffect(() => {
    const dialog = box.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) {
      ours.current = true;
      dialog.close();
    }
  }, [open]);
  const closed = () => {
    if (!ours.current) onClose();
    ours.current = false;
  };
  const beside = (event: MouseEvent) => {
    if (event.target === event.currentTarget) onClose();
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the dialog's own
    <dialog ref={box} class={kind} aria-labelledby={id} onClose={closed} onClick={beside}>
      {open && (
        <>
          <header>
            <h2 id={id}>{title}</h2>
            <div class="row push">
              {end}
              <button type="button" class="button quiet icon" aria-label="Close" onClick={onClose}>
                <Icon name="close" />
              </button>
            </div>
          </header>
          <div class="body">{children}</div>
        </>
      )}
    </dialog>
  );
}

export const Drawer = (props: Omit<Box, 'kind'>) => <Dialog {...props} kind="drawer" />;

export function Empty({ title, children }: Children & { title: string }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Lines that stand for what is still on its way. */
export function Loading({ lines = 3, what = 'Loading' }: { lines?: number; what?: string }) {
  return (
    <div class="stack" role="status" aria-label={`${what}…`}>
      {Array.from({ length: lines }, (_, line) => (
        <div key={line} class="skeleton" style={{ width: `${92 - ((line * 23) % 50)}%` }} />
      ))}
    </div>
  );
}

/** An error in words: what, its code and request id, its faults, and what to do about it. */
export function ErrorNote({
  error,
  advice,
  retry,
}: {
  error: unknown;
  advice?: ComponentChildren;
  retry?: () => void;
}) {
  const told: ApiError = asApiError(error);
  return (
    <div class="note bad" role="alert">
      <strong>{told.message}</strong>
      <span class="small muted">
        {told.status > 0 && <>{told.status} · </>}
        <code>{told.code}</code>
        {told.requestId && (
          <>
            {' '}
            · request <code>{told.requestId}</code>
          </>
        )}
      </span>
      {told.faults.length > 0 && (
        <ul class="small">
          {told.faults.map(fault => (
            <li key={`${fault.line}:${fault.column}:${fault.path}`}>
              <code>
                {fault.line}:{fault.column} {fault.path}
              </code>{' '}
              {fault.message}
            </li>
          ))}
        </ul>
      )}
      {advice && <span class="small">{advice}</span>}
      {retry && (
        <div>
          <button type="button" class="button small" onClick={retry}>
            Try again
          </button>
        </div>
      )}
    </div>
  );
}

/** "87 %" with its bar. */
export const Share = ({ share }: { share: number | null }) => (
  <span class="row">
    <Bar share={share} accent />
    {percent(share)}
  </span>
);

const PATHS = {
  close: 'M4 4l8 8M12 4l-8 8',
  sun: 'M8 5a3 3 0 100 6 3 3 0 000-6zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.1 1.1M11.9 11.9L13 13M13 3l-1.1 1.1M4.1 11.9L3 13',
  moon: 'M13.5 9.5A6 6 0 116.5 2.5a4.8 4.8 0 007 7z',
  plus: 'M8 3v10M3 8h10',
  trash: 'M3 4.5h10M6.5 4V2.5h3V4M4.5 4.5l.6 9h5.8l.6-9M6.8 7v4M9.2 7v4',
  stop: 'M4.5 4.5h7v7h-7z',
  play: 'M5 3.5l7 4.5-7 4.5z',
  pin: 'M6 2h4l-.6 5L12 9.5H4L6.6 7zM8 9.5V14',
  up: 'M8 13V3M4 7l4-4 4 4',
  down: 'M8 3v10M4 9l4 4 4-4',
  swap: 'M2 5.5h11M10 2.5l3 3-3 3M14 10.5H3M6 13.5l-3-3 3-3',
  right: 'M6 3l5 5-5 5',
  warn: 'M8 2l6.5 11.5h-13zM8 6.5v3.5M8 11.8v.2',
  check: 'M3 8.5l3.2 3.2L13 5',
  copy: 'M6 5.5h7.5V14H6zM10 3V2H2.5v8.5h1',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
