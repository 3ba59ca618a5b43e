/** One request in full: its figures, its course in time, the decision as the playground shows it, and the documents. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { type ApiError, asApiError, get, type RequestRecord } from '../../api';
import { Copy } from '../../ui/copy';
import { DecisionCard } from '../../ui/decision';
import { clock, count, money, ms, percent, REASONS, UNKNOWN } from '../../ui/format';
import { Drawer, Icon, Tag } from '../../ui/parts';
import { key } from './records';
import { Result } from './requests';
import { ModelName } from './shares';

type Props = {
  record: RequestRecord | null;
  onClose: () => void;
  /** To the request beside it in the list, where there is one. */
  onNewer: (() => void) | null;
  onOlder: (() => void) | null;
};

export function RequestDrawer({ record, onClose, onNewer, onOlder }: Props) {
  const steps = (
    <>
      <Step name="up" label="Newer request" go={onNewer} />
      <Step name="down" label="Older request" go={onOlder} />
    </>
  );
  return (
    <Drawer
      title={record ? `Request at ${clock(record.at)}` : ''}
      open={record !== null}
      onClose={onClose}
      end={steps}
    >
      {record && <Whole record={record} />}
    </Drawer>
  );
}

function Step({ name, label, go }: { name: 'up' | 'down'; label: string; go: (() => void) | null }) {
  return (
    <button
      type="button"
      class="button quiet icon"
      aria-label={label}
      title={label}
      disabled={!go}
      onClick={() => go?.()}
    >
      <Icon name={name} />
    </button>
  );
}

function Whole({ record: listed }: { record: RequestRecord }) {
  const { record, error } = useDecision(listed);
  const { decision, ...figures } = record;
  return (
    <div class="stack request-in-full">
      <div class="row">
        <code class="id">{record.id}</code>
        <Copy text={record.id} label="Copy the request id" />
      </div>
      <Course record={record} />
      <Facts record={record} />
      <Split record={record} />
      <h3>Decision</h3>
      {decision ? <DecisionCard decision={decision} /> : <p class="nothing">{without(record, error)}</p>}
      {decision && <Document title="Decision document" value={decision} />}
      <Document title="Record" value={figures} />
    </div>
  );
}

function without(record: RequestRecord, error: ApiError | null): string {
  if (error) return `The decision is not at hand: ${error.message}`;
  if (record.reason === 'direct') return 'The request named its model, so nothing was decided.';
  return record.state === 'open' ? 'Not decided yet.' : 'Nothing was decided for this request.';
}

/** The list has no decisions: one is fetched for the request that is looked at, again when it is done. */
function useDecision(listed: RequestRecord): { record: RequestRecord; error: ApiError | null } {
  const [found, setFound] = useState<RequestRecord | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    setError(null);
    get<RequestRecord>(`/api/requests/${encodeURIComponent(listed.id)}`, stop.signal)
      .then(setFound)
      .catch(problem => {
        if (!stop.signal.aborted) setError(asApiError(problem));
      });
    return () => stop.abort();
  }, [key(listed), listed.state]);
  const same = found !== null && key(found) === key(listed);
  return { record: same ? { ...listed, decision: found.decision ?? null } : listed, error };
}

function Facts({ record }: { record: RequestRecord }) {
  const { reason, task, model } = record;
  const facts: [string, ComponentChildren][] = [
    ['Result', <Result key="result" record={record} />],
    ['Code', record.code],
    ['Router', record.router],
    ['Task', task && `${task}${record.confidence === null ? '' : ` (${percent(record.confidence)})`}`],
    ['Decided', reason && (REASONS[reason]?.label ?? reason)],
    ['Asked for', record.asked],
    ['Model', model && <ModelName key="model" model={model} />],
    ['Provider', record.provider],
    ['Endpoint', record.endpoint],
    ['Attempts', record.attempts || null],
    ['Key', record.key],
    ['From', record.source === 'playground' ? 'playground' : 'data plane'],
    ['Streamed', record.streamed ? 'yes' : 'no'],
    ['Catalog', record.generation],
  ];
  return (
    <dl class="record-facts">
      {facts
        .filter(([, value]) => value !== null && value !== '')
        .map(([name, value]) => (
          <div key={name}>
            <dt class="label">{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

function Split({ record: { usage, cost } }: { record: RequestRecord }) {
  if (!usage && !cost) return null;
  const uncached = usage ? usage.input - usage.cache_read - usage.cache_write : null;
  const parts: [string, number | null | undefined, number | null | undefined][] = [
    ['Input', uncached, cost?.input],
    ['Read from cache', usage?.cache_read, cost?.cache_read],
    ['Written to cache', usage?.cache_write, cost?.cache_write],
    [
      usage?.reasoning ? `Output, ${count(usage.reasoning)} of it reasoning` : 'Output',
      usage?.output,
      cost?.output,
    ],
  ];
  return (
    <table class="table split">
      <caption class="unseen">Tokens and cost</caption>
      <thead>
        <tr>
          <th scope="col">Part {usage?.estimated && <Tag tone="warn">estimated</Tag>}</th>
          <th scope="col" class="number">
            Tokens
          </th>
          <th scope="col" class="number">
            Cost
          </th>
        </tr>
      </thead>
      <tbody>
        {parts.map(([name, tokens, usd]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="number">{count(tokens)}</td>
            <td class="number">{money(usd)}</td>
          </tr>
        ))}
        <tr class="total">
          <th scope="row">Total</th>
          <td class="number">{usage ? count(usage.input + usage.output) : UNKNOWN}</td>
          <td class="number">{money(cost?.total)}</td>
        </tr>
      </tbody>
    </table>
  );
}

/** From the request's first byte to its last, on one axis. */
function Course({ record }: { record: RequestRecord }) {
  const { duration_ms: total, ttft_ms: first, overhead_ms: ours } = record;
  if (total === null || total <= 0) return null;
  const width = (value: number) => ({ width: `${Math.max(0, Math.min(100, (value / total) * 100))}%` });
  const begun = first ?? total;
  return (
    <figure class="course">
      <div aria-hidden="true">
        <i class="ours" style={width(ours ?? 0)} />
        <i class="waiting" style={width(begun - (ours ?? 0))} />
        <i class="answering" style={width(total - begun)} />
      </div>
      <figcaption class="small muted">
        <span>
          <i class="swatch ours" /> Pointsman <b>{ms(ours)}</b>
        </span>
        <span>
          <i class="swatch waiting" /> first token after <b>{ms(first)}</b>
        </span>
        <span>
          <i class="swatch answering" /> whole answer <b>{ms(total)}</b>
        </span>
      </figcaption>
    </figure>
  );
}

function Document({ title, value }: { title: string; value: object }) {
  const text = JSON.stringify(value, null, 2);
  return (
    <details class="document">
      <summary>
        {title} <Tag>JSON</Tag>
      </summary>
      <div>
        <Copy text={text} label={`Copy the ${title.toLowerCase()}`} />
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <section tabIndex={0} aria-label={title}>
          <pre>{text}</pre>
        </section>
      </div>
    </details>
  );
}
