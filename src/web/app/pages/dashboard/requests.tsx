/** The last requests as they come: figures and names, never text. Paused, the list stands still and says what waits. */
import { useEffect, useState } from 'preact/hooks';
import type { RequestRecord } from '../../api';
import { clock, compact, money, ms, percent, REASONS, UNKNOWN } from '../../ui/format';
import { Card, Icon, Tag, type Tone } from '../../ui/parts';
import { type Filter, filtered, isFiltering, key, NO_FILTER, occurring } from './records';
import { ModelName } from './shares';

type Props = {
  records: RequestRecord[];
  onOpen: (record: RequestRecord, among: RequestRecord[]) => void;
};

export function Requests({ records, onOpen }: Props) {
  const [filter, setFilter] = useState(NO_FILTER);
  const [frozen, setFrozen] = useState<RequestRecord[] | null>(null);
  const list = frozen ?? records;
  const rows = filtered(list, filter);
  const waiting = frozen ? records.filter(({ seq }) => seq > (frozen[0]?.seq ?? -1)).length : 0;
  const tools = (
    <>
      <Filters filter={filter} records={list} onFilter={setFilter} />
      <button
        type="button"
        class="button small"
        aria-pressed={frozen !== null}
        onClick={() => setFrozen(frozen ? null : records)}
      >
        {frozen ? <Icon name="play" /> : <Icon name="pause" />}
        {frozen ? `Resume${waiting ? ` (${waiting} new)` : ''}` : 'Pause'}
      </button>
    </>
  );
  return (
    <Card title="Last requests" end={tools} class="requests" flush>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus */}
      <section class="table-box" tabIndex={0} aria-label="The last requests as a table">
        <table class="table log">
          <caption class="unseen">The last requests, the newest first; figures and names only</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Router</th>
              <th scope="col">Task</th>
              <th scope="col">Decided</th>
              <th scope="col">Model</th>
              <th scope="col">Result</th>
              <th scope="col" class="number">
                Tries
              </th>
              <th scope="col" class="number">
                <abbr title="Time to first token">TTFT</abbr>
              </th>
              <th scope="col" class="number">
                Total
              </th>
              <th scope="col" class="number">
                Tokens in / out
              </th>
              <th scope="col" class="number">
                Cost
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(record => (
              <Row key={key(record)} record={record} onOpen={() => onOpen(record, rows)} />
            ))}
          </tbody>
        </table>
      </section>
      {rows.length === 0 && (
        <p class="nothing">
          {isFiltering(filter) ? 'No request fits the filter. ' : 'Requests appear here as they come.'}
          {isFiltering(filter) && (
            <button type="button" class="button small" onClick={() => setFilter(NO_FILTER)}>
              Show all
            </button>
          )}
        </p>
      )}
    </Card>
  );
}

type FiltersProps = { filter: Filter; records: RequestRecord[]; onFilter: (filter: Filter) => void };

const OUTCOMES = ['open', 'ok', 'rejected', 'error', 'cancelled'];

function Filters({ filter, records, onFilter }: FiltersProps) {
  const choice = (field: 'router' | 'reason' | 'outcome', label: string, values: string[]) => (
    <select
      class="input"
      aria-label={label}
      value={filter[field]}
      onChange={event => onFilter({ ...filter, [field]: event.currentTarget.value })}
    >
      <option value="">{label}: all</option>
      {values.map(value => (
        <option key={value} value={value}>
          {field === 'reason' ? (REASONS[value]?.label ?? value) : value}
        </option>
      ))}
    </select>
  );
  // What is chosen stays to be chosen, also when its last request has left the list.
  const values = (field: 'router' | 'reason') =>
    [...new Set([...occurring(records, field), filter[field]])].filter(Boolean);
  return (
    <search class="filters" aria-label="Filter the last requests">
      <input
        type="search"
        class="input"
        aria-label="Filter by name, id or status"
        placeholder="Filter: model, task, id, status"
        value={filter.text}
        onInput={event => onFilter({ ...filter, text: event.currentTarget.value })}
      />
      {choice('router', 'Router', values('router'))}
      {choice('reason', 'Decided', values('reason'))}
      {choice('outcome', 'Result', OUTCOMES)}
    </search>
  );
}

const REASON_TONES: Record<string, Tone> = { matched: 'accent', unclassified: 'warn', no_match: 'plain' };

function Row({ record, onOpen }: { record: RequestRecord; onOpen: () => void }) {
  const fresh = useFresh(record);
  const { usage, reason } = record;
  return (
    <tr class={`pressable ${fresh ? 'fresh' : ''}`} onClick={onOpen}>
      <th scope="row">
        <button type="button" aria-haspopup="dialog" title={record.id}>
          {clock(record.at)}
          <span class="unseen">: show this request</span>
        </button>
      </th>
      <td data-name="Router">{record.router ?? <span class="faint">{UNKNOWN}</span>}</td>
      <td data-name="Task">
        {record.task ?? <span class="faint">{UNKNOWN}</span>}{' '}
        {record.confidence !== null && <span class="faint">{percent(record.confidence)}</span>}
      </td>
      <td data-name="Decided">
        {reason && (
          <Tag tone={REASON_TONES[reason] ?? 'plain'} title={REASONS[reason]?.meaning ?? ''}>
            {REASONS[reason]?.label ?? reason}
          </Tag>
        )}
      </td>
      <td data-name="Model">
        {record.model ? <ModelName model={record.model} /> : <span class="faint">{UNKNOWN}</span>}
      </td>
      <td data-name="Result">
        <Result record={record} />
      </td>
      <td class={`number ${record.attempts > 1 ? 'warn-text' : ''}`} data-name="Tries">
        {record.attempts || UNKNOWN}
      </td>
      <td class="number" data-name="TTFT">
        {ms(record.ttft_ms)}
      </td>
      <td class="number" data-name="Total">
        {ms(record.duration_ms)}
      </td>
      <td class="number" data-name="Tokens in / out">
        {usage ? `${usage.estimated ? '~' : ''}${compact(usage.input)} / ${compact(usage.output)}` : UNKNOWN}
      </td>
      <td class="number" data-name="Cost">
        {money(record.cost?.total)}
      </td>
    </tr>
  );
}

const OUTCOME_TONES: Record<string, Tone> = { ok: 'good', rejected: 'warn', error: 'bad', cancelled: 'warn' };

export function Result({ record }: { record: RequestRecord }) {
  if (record.state === 'open') return <Tag tone="accent">open</Tag>;
  if (record.dry_run && record.outcome === 'ok')
    return <Tag title="A decision alone: no model was asked">dry run</Tag>;
  const outcome = record.outcome ?? 'error';
  return (
    <Tag tone={OUTCOME_TONES[outcome] ?? 'bad'} title={record.code ?? ''}>
      {record.status} {outcome === 'ok' ? '' : outcome}
    </Tag>
  );
}

/** For a moment after it came. */
function useFresh({ at }: RequestRecord): boolean {
  const [fresh, setFresh] = useState(() => Date.now() - Date.parse(at) < 3000);
  useEffect(() => {
    if (!fresh) return;
    const timer = setTimeout(() => setFresh(false), 1500);
    return () => clearTimeout(timer);
  }, []);
  return fresh;
}
