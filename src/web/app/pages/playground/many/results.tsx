/** What many prompts gave: totals, the scatter, every prompt with its vote, and the pair that is looked at. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { change, count, counted, money, ms, msChange, percent } from '../../../ui/format';
import { Card, Empty, Tag } from '../../../ui/parts';
import { running } from '../run';
import { blind, isRouter, type SideName, shown } from '../settings';
import { Side } from '../side';
import { type Batch, bothAnswered, type Row, rowDone, stateOf, totals, type Vote } from './batch';
import { asCsv, asJson, download } from './export';
import { Scatter } from './scatter';

/** In a blind comparison a pair tells nothing of its sides until it has a vote. */
const hides = (row: Row): boolean => blind.value && row.vote.value === null;

export function Results({ batch }: { batch: Batch }) {
  const chosen = useSignal(1);
  const row = batch.rows[chosen.value - 1];
  const list = useRef<HTMLTableSectionElement>(null);
  const go = (to: number) => {
    chosen.value = Math.min(batch.rows.length, Math.max(1, to));
  };
  useEffect(() => {
    show(list.current?.children[chosen.value - 1]);
  }, [chosen.value]);
  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      const at = event.target as HTMLElement;
      if (event.metaKey || event.ctrlKey || event.altKey || at.closest('input, textarea, select, dialog'))
        return;
      const current = batch.rows[chosen.peek() - 1];
      if (event.key === 'j') go(chosen.peek() + 1);
      else if (event.key === 'k') go(chosen.peek() - 1);
      else if (current && ['0', '1', '2', '3'].includes(event.key))
        cast(current, event.key, () => go(chosen.peek() + 1));
    };
    addEventListener('keydown', keys);
    return () => removeEventListener('keydown', keys);
  }, [batch]);
  return (
    <div class="results">
      <Card
        title="Totals"
        class="totals"
        end={
          <>
            <button
              type="button"
              class="button small"
              onClick={() => download('pointsman-runs.json', 'application/json', asJson(batch))}
            >
              JSON
            </button>
            <button
              type="button"
              class="button small"
              onClick={() => download('pointsman-runs.csv', 'text/csv', asCsv(batch))}
            >
              CSV
            </button>
          </>
        }
      >
        <TotalsTable batch={batch} />
      </Card>
      <Card title="Cost against first token" class="plot">
        <Scatter batch={batch} chosen={chosen.value} onChoose={go} hideSides={hides} />
      </Card>
      <Card title="Results" class="list" flush end={<Keys />}>
        <div class="table-box rows">
          <table class="table">
            <caption class="unseen">Prompts and what each side made of them</caption>
            <thead>
              <tr>
                <th scope="col">Prompt</th>
                <th scope="col">Task</th>
                <th scope="col">A</th>
                <th scope="col">B</th>
                <th scope="col" class="number">
                  Cost
                </th>
                <th scope="col" class="number">
                  First token
                </th>
                <th scope="col">Vote</th>
              </tr>
            </thead>
            <tbody ref={list}>
              {batch.rows.map(one => (
                <RowView
                  key={one.number}
                  row={one}
                  batch={batch}
                  chosen={one.number === chosen.value}
                  onChoose={() => go(one.number)}
                />
              ))}
            </tbody>
          </table>
        </div>
      </Card>
      {row && <Pair row={row} onVoted={() => go(row.number + 1)} />}
    </div>
  );
}

/** Scrolls the list alone, not the page: that stays where its reader is. */
function show(element: Element | undefined): void {
  const box = element?.closest('.rows');
  if (!element || !box) return;
  const [row, around] = [element.getBoundingClientRect(), box.getBoundingClientRect()];
  const head = 30;
  if (row.top < around.top + head) box.scrollTop -= around.top + head - row.top;
  else if (row.bottom > around.bottom) box.scrollTop += row.bottom - around.bottom;
}

const VOTES: Record<string, (row: Row) => Vote> = {
  '1': row => (blind.value ? row.left : 'a'),
  '2': row => (blind.value ? other(row.left) : 'b'),
  '3': () => 'tie',
  '0': () => null,
};
const other = (side: SideName): SideName => (side === 'a' ? 'b' : 'a');

/** Votes by key. A first vote goes on to the next pair, unless the names have just been shown: those are worth a look. */
function cast(row: Row, key: string, next: () => void): void {
  if (!rowDone(row)) return;
  const wasBlind = hides(row);
  const first = row.vote.peek() === null;
  row.vote.value = VOTES[key]?.(row) ?? null;
  if (first && !wasBlind && key !== '0') next();
}

const Keys = () => (
  <span class="small faint wide-only">
    <kbd>j</kbd> <kbd>k</kbd> next, previous · <kbd>1</kbd> left <kbd>2</kbd> right <kbd>3</kbd> tie{' '}
    <kbd>0</kbd> no vote
  </span>
);

function TotalsTable({ batch }: { batch: Batch }) {
  const [a, b] = [totals(batch.rows, 'a'), totals(batch.rows, 'b')];
  const both = bothAnswered(batch.rows).length;
  const share = (side: SideName, part: number, whole: number) =>
    isRouter(batch.targets[side]) && whole > 0 ? percent(part / whole) : '–';
  const models = (list: [string, number][]) =>
    list.map(([model, times]) => `${model} ${times}`).join(', ') || '–';
  const lines: [string, string, string, string][] = [
    ['answered', `${a.answered}`, `${b.answered}`, ''],
    ['failed', `${a.failed}`, `${b.failed}`, ''],
    ['cost', money(a.cost), money(b.cost), change(a.cost, b.cost)],
    ['output tokens', count(a.outputTokens), count(b.outputTokens), change(a.outputTokens, b.outputTokens)],
    ['first token, median', ms(a.firstMedian), ms(b.firstMedian), msChange(a.firstMedian, b.firstMedian)],
    ['first token, 95 %', ms(a.first95), ms(b.first95), msChange(a.first95, b.first95)],
    ['total, median', ms(a.totalMedian), ms(b.totalMedian), msChange(a.totalMedian, b.totalMedian)],
    ['matched a task', share('a', a.matched, both), share('b', b.matched, both), ''],
    ['answered by', models(a.models), models(b.models), ''],
    ['votes', `${a.votes}`, `${b.votes}`, ''],
  ];
  const unpriced = a.unpriced + b.unpriced;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus */}
      <div role="group" class="table-box" tabIndex={0} aria-label="Totals of both sides">
        <table class="table">
          <caption class="unseen">Totals of both sides</caption>
          <thead>
            <tr>
              <td />
              <th scope="col">
                <span class="badge a">A</span> {shown(batch.targets.a)}
              </th>
              <th scope="col">
                <span class="badge b">B</span> {shown(batch.targets.b)}
              </th>
              <th scope="col">A against B</th>
            </tr>
          </thead>
          <tbody>
            {lines.map(([name, left, right, difference]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{left}</td>
                <td>{right}</td>
                <td>
                  <b>{difference}</b>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="small faint">
        From cost to matches, and who answered: over the {both} {both === 1 ? 'prompt' : 'prompts'} that both
        answered.
      </p>
      {unpriced > 0 && (
        <p class="small muted">{counted(unpriced, 'answer')} without a known price: not in the cost.</p>
      )}
    </>
  );
}

function RowView({
  row,
  batch,
  chosen,
  onChoose,
}: {
  row: Row;
  batch: Batch;
  chosen: boolean;
  onChoose: () => void;
}) {
  const [a, b] = [stateOf(row, 'a'), stateOf(row, 'b')];
  const hidden = hides(row);
  const task = [a, b].find(
    (state, place) => isRouter(place === 0 ? batch.targets.a : batch.targets.b) && state,
  )?.decision?.task;
  const model = (state: typeof a) =>
    state === null ? (
      ''
    ) : state.phase === 'failed' ? (
      <Tag tone="bad">{state.error?.code ?? 'failed'}</Tag>
    ) : state.phase === 'stopped' ? (
      <Tag>stopped</Tag>
    ) : (
      (state.model ?? '…')
    );
  const vote = row.vote.value;
  return (
    <tr class={`pressable ${chosen ? 'chosen' : ''}`} onClick={onChoose}>
      <th scope="row" class="clip">
        <button type="button" aria-pressed={chosen} onClick={onChoose}>
          <span class="faint">{row.number}</span> {row.prompt.text}
        </button>
      </th>
      {hidden ? (
        <td colSpan={5} class="faint">
          {a === null ? 'waits' : rowDone(row) ? 'hidden until you vote' : 'running…'}
        </td>
      ) : (
        <>
          <td class="clip">{a === null ? <span class="faint">waits</span> : (task ?? '–')}</td>
          <td class="clip">{model(a)}</td>
          <td class="clip">{model(b)}</td>
          <td class="number">{a && b ? change(a.record?.cost?.total, b.record?.cost?.total) : ''}</td>
          <td class="number">{a && b ? msChange(a.firstMs, b.firstMs) : ''}</td>
        </>
      )}
      <td>
        {vote && (
          <Tag tone={vote === 'a' ? 'accent' : 'plain'}>{vote === 'tie' ? 'tie' : vote.toUpperCase()}</Tag>
        )}
      </td>
    </tr>
  );
}

function Pair({ row, onVoted }: { row: Row; onVoted: () => void }) {
  const runs = row.runs.value;
  const hidden = hides(row);
  const order: SideName[] = blind.value ? [row.left, other(row.left)] : ['a', 'b'];
  const costs = order.map(side => stateOf(row, side)?.record?.cost?.total ?? 0);
  const whole = Math.max(...costs) || undefined;
  const button = (key: string, name: string, vote: Vote) => (
    <button
      type="button"
      class="button"
      aria-pressed={row.vote.value === vote}
      disabled={!rowDone(row)}
      onClick={() => cast(row, key, onVoted)}
    >
      {name} <kbd>{key}</kbd>
    </button>
  );
  const [left, right] = order as [SideName, SideName];
  return (
    <section class="pair" aria-label={`Prompt ${row.number}`}>
      <div class="row">
        <h2 class="grow">
          <span class="faint">{row.number}</span> {row.prompt.text.slice(0, 400)}
        </h2>
        <fieldset class="row votes">
          <legend class="unseen">Which answer is better?</legend>
          {button('1', hidden ? 'Left' : `${left.toUpperCase()} is better`, left)}
          {button('3', 'Tie', 'tie')}
          {button('2', hidden ? 'Right' : `${right.toUpperCase()} is better`, right)}
        </fieldset>
      </div>
      {runs ? (
        <div class="two">
          {order.map((side, place) => {
            const state = runs[side].state.value;
            const name = place === 0 ? 'Left answer' : 'Right answer';
            return (
              <Side
                key={side}
                side={side}
                run={runs[side]}
                state={state}
                prompt={row.prompt.text}
                whole={whole}
                hidden={hidden ? (running(state) ? `${name}, still coming` : name) : undefined}
              />
            );
          })}
        </div>
      ) : (
        <Empty title="It is not this prompt's turn yet" />
      )}
    </section>
  );
}
