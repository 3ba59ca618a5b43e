/** The decision document, for people: which task and how sure, who could answer, at what price and how soon, who was ruled out. */
import './decision.css';
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { Candidate, Decision } from '../api';
import { CostBar, costInWords, expected } from './cost';
import { count, money, ms, percent, REASONS } from './format';
import { Bar, type Column, Icon, Table, Tag, type Tone } from './parts';

type Props = {
  decision: Decision;
  /** The model that answered in the end, where one has. */
  answered?: string | null;
  /** Drops the session's pin; without it there is no button. */
  onDropPin?: (() => void) | undefined;
};

export function DecisionCard({ decision, answered, onDropPin }: Props) {
  return (
    <div class="decision">
      <Verdict decision={decision} />
      {decision.none !== null && <Tasks decision={decision} />}
      <Candidates decision={decision} answered={answered ?? null} />
      <Pin decision={decision} onDrop={onDropPin} />
      <Facts decision={decision} />
    </div>
  );
}

const TONES: Record<string, Tone> = { matched: 'good', no_match: 'warn', unclassified: 'bad' };

export function ReasonTag({ reason }: { reason: string }) {
  return (
    <Tag tone={TONES[reason] ?? 'accent'} title={REASONS[reason]?.meaning ?? ''}>
      {REASONS[reason]?.label ?? reason}
    </Tag>
  );
}

function Verdict({ decision }: { decision: Decision }) {
  const { task, confidence, threshold, reason } = decision;
  const most = decision.tasks[0];
  const none = decision.none;
  let told: ComponentChildren = REASONS[reason]?.meaning;
  if (none === null && (reason === 'pinned' || reason === 'continued'))
    told = `${REASONS[reason]?.meaning} The classifier was not asked.`;
  if (reason === 'matched' && confidence !== null)
    told = `${percent(confidence)} sure; ${percent(threshold)} would have been enough.`;
  else if (reason === 'no_match' && most?.probability != null && none !== null)
    told =
      none >= most.probability
        ? `None of the tasks is the likeliest reading (${percent(none)}): the fallback models answer.`
        : `The likeliest task, ${most.name}, has ${percent(most.probability)}, less than the threshold of ${percent(threshold)}: the fallback models answer.`;
  return (
    <div class="verdict">
      <div class="row">
        <ReasonTag reason={reason} />
        <strong>{task ?? (reason === 'direct' ? 'No decision to make' : 'No task')}</strong>
      </div>
      <p class="small muted">{told}</p>
    </div>
  );
}

const SHOWN = 8;

function Tasks({ decision }: { decision: Decision }) {
  const all = useSignal(false);
  const rows = [
    ...decision.tasks.map(task => ({ ...task, none: false })),
    { name: 'none of these', probability: decision.none, none: true },
  ];
  rows.sort((one, other) => (other.probability ?? 0) - (one.probability ?? 0));
  // None is never hidden: it is what the rest is measured against.
  const shown = rows.filter(
    (row, place) => all.value || rows.length <= SHOWN + 1 || place < SHOWN || row.none,
  );
  const hidden = rows.length - shown.length;
  return (
    <div>
      <h4>Tasks by probability</h4>
      <table class="tasks">
        <caption class="unseen">
          Probability of each task; the threshold is {percent(decision.threshold)}
        </caption>
        <thead class="unseen">
          <tr>
            <th scope="col">Task</th>
            <th scope="col">Bar</th>
            <th scope="col">Probability</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(row => (
            <tr key={row.name} class={`${row.name === decision.task ? 'won' : ''} ${row.none ? 'none' : ''}`}>
              <th scope="row" class="clip" title={row.name}>
                {row.name}
              </th>
              <td>
                <Bar
                  share={row.probability}
                  threshold={row.none ? null : decision.threshold}
                  accent={row.name === decision.task}
                />
              </td>
              <td class="number">{percent(row.probability)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <div class="scale">
        {hidden > 0 && (
          <button type="button" class="button quiet small" onClick={() => (all.value = true)}>
            {hidden} less likely
          </button>
        )}
        <span class="push">
          {decision.threshold !== null && `│ threshold ${percent(decision.threshold)}`}
        </span>
      </div>
    </div>
  );
}

function Candidates({ decision, answered }: { decision: Decision; answered: string | null }) {
  const ranked = decision.candidates;
  const dearest = Math.max(0, ...ranked.map(one => one.expected_cost_usd ?? 0));
  const slowest = Math.max(1, ...ranked.map(one => one.ttft_interval_ms?.[1] ?? one.expected_ttft_ms ?? 0));
  const columns: Column<Candidate>[] = [
    { name: 'Model', cell: one => <Named one={one} answered={one.model === answered} /> },
    { name: 'Expected cost', cell: one => <ExpectedCost one={one} whole={dearest} /> },
    { name: 'Expected first token', cell: one => <ExpectedStart one={one} whole={slowest} /> },
  ];
  return (
    <div class="candidates">
      <h4>{heading(decision)}</h4>
      <Table
        caption="Candidates"
        columns={columns}
        rows={ranked}
        keyOf={one => one.model}
        empty="No model could be considered."
      />
    </div>
  );
}

const heading = ({ router, task }: Decision): string =>
  router === null ? 'What was expected' : task === null ? 'Fallback models in order' : 'Candidates in order';

function Named({ one, answered }: { one: Candidate; answered: boolean }) {
  const because = one.ruled_out ?? ((one.why === 'direct' ? '' : one.why) || one.unless);
  return (
    <span class={one.rank === null ? 'out' : ''}>
      <span class="row">
        {one.rank !== null && one.why !== 'direct' && <span class="faint">{one.rank}</span>}
        <span>{one.model}</span>
        {answered && <Tag tone="accent">answered</Tag>}
        {one.rank === null && <Tag tone="warn">ruled out</Tag>}
        {one.failing && <Tag tone="bad">failing</Tag>}
      </span>
      {because && <span class="small faint">{because}</span>}
      {one.quality != null && <span class="small faint"> · quality {one.quality}</span>}
      {one.loss && one.loss.length > 0 && (
        <span class="small faint"> · would lose {one.loss.join(', ')}</span>
      )}
    </span>
  );
}

function ExpectedCost({ one, whole }: { one: Candidate; whole: number }) {
  if (one.rank === null) return null;
  if (one.expected_cost_usd == null || !one.cost) return <span class="faint">unknown price</span>;
  const amounts = expected(one.cost);
  const tokens = `${count(one.cost.input_tokens)} in${one.cost.cached_tokens > 0 ? ` (${count(one.cost.cached_tokens)} cached)` : ''}, ${count(one.cost.output_tokens)} out`;
  return (
    <span class="figure-cell" title={`${costInWords(amounts)}; ${tokens} tokens`}>
      {money(one.expected_cost_usd)}
      <CostBar amounts={amounts} whole={whole} />
      <span class="faint small">{costInWords(amounts)}</span>
    </span>
  );
}

function ExpectedStart({ one, whole }: { one: Candidate; whole: number }) {
  if (one.rank === null) return null;
  if (one.expected_ttft_ms == null)
    return <span class="faint">{one.samples ? 'not known now' : 'not measured yet'}</span>;
  const interval = one.ttft_interval_ms;
  const at = (value: number) => `${(value / whole) * 100}%`;
  return (
    <span class="figure-cell">
      {ms(one.expected_ttft_ms)}
      <span class="range" aria-hidden="true">
        {interval && <i style={{ left: at(interval[0]), width: at(interval[1] - interval[0]) }} />}
        <b style={{ left: at(one.expected_ttft_ms) }} />
      </span>
      <span class="faint small">
        {interval && `${ms(interval[0])} to ${ms(interval[1])} · `}
        {count(one.samples)} {one.samples === 1 ? 'sample' : 'samples'}
      </span>
    </span>
  );
}

function Pin({ decision, onDrop }: { decision: Decision; onDrop?: (() => void) | undefined }) {
  const { id, pinned } = decision.session;
  if (id === null) return null;
  return (
    <div class="row small">
      <Icon name="pin" />
      <span>
        {pinned ? 'Pinned: ' : ''}session <code>{id}</code>
        {pinned ? ' stays with its model until it rests.' : ' had no pin before this request.'}
      </span>
      {onDrop && (
        <button type="button" class="button small push" onClick={onDrop}>
          Drop the pin
        </button>
      )}
    </div>
  );
}

function Facts({ decision }: { decision: Decision }) {
  const { read, classify, rank } = decision.timings_us;
  const micros = (value: number | null) =>
    value === null ? '–' : value < 1000 ? `${value} µs` : ms(value / 1000);
  return (
    <div class="facts">
      <span>
        read <b>{micros(read)}</b>
      </span>
      <span>
        classify <b>{micros(classify)}</b>
      </span>
      <span>
        rank <b>{micros(rank)}</b>
      </span>
      <span>
        input <b>{count(decision.input_tokens)} tokens</b>
      </span>
      {decision.truncated && <span>read in part: the text is longer than the classifier's window</span>}
      {decision.fallbacks.length > 0 && (
        <span>
          fallbacks <b>{decision.fallbacks.join(', ')}</b>
        </span>
      )}
      <span>
        catalog <b>{decision.generation}</b>
      </span>
    </div>
  );
}
