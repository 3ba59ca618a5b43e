/** `/`: what the process did since it started, and what it does now. */
import { useMemo, useState } from 'preact/hooks';
import {
  asApiError,
  catalog,
  catalogError,
  errorOf,
  loadCatalog,
  type Overview,
  type RequestRecord,
  send,
  sendsKey,
} from '../../api';
import { fragment, setFragment } from '../../nav';
import { clock, count, ms } from '../../ui/format';
import { modelToken } from '../../ui/models';
import { ErrorNote, Loading } from '../../ui/parts';
import { toast } from '../../ui/toast';
import { CostPanel } from './cost';
import { RequestDrawer } from './drawer';
import { columns } from './figures';
import { CausesPanel, PricesPanel, TargetsPanel } from './health';
import { TimeChart } from './lines';
import { type State, useLive } from './live';
import { FirstRequest } from './newcomer';
import { key } from './records';
import { Requests } from './requests';
import { ModelsPanel, TasksPanel } from './shares';
import { Strip } from './strip';
import './dashboard.css';

export default function Dashboard() {
  const compare = fragment.value.get('compare') ?? '';
  const { state, overview, records, heard } = useLive(compare);
  const [opened, setOpened] = useState<{ place: number; among: RequestRecord[] } | null>(null);
  const chosen = opened?.among[opened.place];
  const current = chosen && (records.find(record => key(record) === key(chosen)) ?? chosen);
  const step = (by: number) => {
    if (!opened?.among[opened.place + by]) return null;
    return () => setOpened({ ...opened, place: opened.place + by });
  };
  const isNew = overview?.requests === 0 && records.length === 0;
  return (
    <div class="dashboard">
      <div class="page-head">
        <h1>Dashboard</h1>
        <Connection state={state} heard={heard} />
        <span class="row push small">
          <a href="/metrics" onClick={showMetrics}>
            Metrics
          </a>
          <a href="/playground">Playground</a>
        </span>
      </div>
      {!overview &&
        (catalogError.value ? (
          <ErrorNote error={catalogError.value} retry={loadCatalog} />
        ) : (
          <Loading lines={8} />
        ))}
      {overview && (
        <div class={`board ${isNew ? 'new' : ''}`}>
          <Strip overview={overview} />
          {isNew ? (
            catalog.value && <FirstRequest catalog={catalog.value} />
          ) : (
            <>
              <Charts overview={overview} />
              <CostPanel
                overview={overview}
                models={catalog.value?.models.map(({ name }) => name) ?? []}
                compare={compare}
                onCompare={model => setFragment({ compare: model })}
              />
              <ModelsPanel overview={overview} />
              <TasksPanel overview={overview} />
            </>
          )}
          <TargetsPanel overview={overview} />
          {!isNew && <CausesPanel overview={overview} />}
          <PricesPanel overview={overview} />
          {!isNew && (
            <Requests
              records={records}
              onOpen={(record, among) => setOpened({ place: among.indexOf(record), among })}
            />
          )}
        </div>
      )}
      <RequestDrawer
        record={current ?? null}
        onClose={() => setOpened(null)}
        onNewer={step(-1)}
        onOlder={step(1)}
      />
    </div>
  );
}

/** A browser sends no key along with a link: where one is wanted, the page fetches the text and shows it. */
async function showMetrics(event: MouseEvent) {
  if (!sendsKey()) return;
  event.preventDefault();
  try {
    const response = await send('/metrics');
    if (!response.ok) throw await errorOf(response);
    location.assign(URL.createObjectURL(new Blob([await response.text()], { type: 'text/plain' })));
  } catch (error) {
    toast(asApiError(error).message, 'bad');
  }
}

function Charts({ overview }: { overview: Overview }) {
  const { series } = overview;
  const drawn = useMemo(() => {
    const { time, models, ttft, requests, errors } = columns(overview);
    const first = models.map((model, place) => ({
      label: model,
      token: modelToken(model),
      values: ttft[place] ?? [],
    }));
    const traffic = [
      { label: 'requests', token: '--accent', values: requests, area: true },
      { label: 'errors', token: '--bad', values: errors, area: true },
    ];
    return { time, first, traffic };
  }, [series, catalog.value]);
  const seconds = series.step_s * drawn.time.length;
  const over =
    seconds > 0 ? `, last ${seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`}` : '';
  return (
    <>
      <TimeChart
        title="Time to first token"
        class="first-token"
        note={`by model, median of ${series.step_s} s${over}`}
        axisLabel="milliseconds"
        time={drawn.time}
        lines={drawn.first}
        format={ms}
        tick={count}
        empty="Streamed answers draw this."
        most={1000}
      />
      <TimeChart
        title="Traffic"
        class="traffic"
        note={`mean of ${series.step_s} s${over}`}
        axisLabel="requests per second"
        time={drawn.time}
        lines={drawn.traffic}
        format={value => `${value.toFixed(1)}/s`}
        tick={value => String(Math.round(value * 100) / 100)}
        empty="No request in this time."
        most={1}
      />
    </>
  );
}

const STATES: Record<State, string> = {
  connecting: 'connecting…',
  live: 'live',
  reconnecting: 'reconnecting…',
};

function Connection({ state, heard }: { state: State; heard: number | null }) {
  const late = state === 'reconnecting' && heard !== null ? ` Figures of ${clock(heard)}.` : '';
  return (
    <span class={`connection ${state}`} role="status">
      <i aria-hidden="true" />
      {STATES[state]}
      {late}
    </span>
  );
}
