/** What may go wrong: targets with their breakers, why attempts were given up, and how old the prices are. */
import type { Overview } from '../../api';
import { count, duration, ms, percent, UNKNOWN } from '../../ui/format';
import { Bar, Card, type Column, Table, Tag } from '../../ui/parts';
import { shares, standing, troubledFirst } from './figures';
import { ModelName } from './shares';

type Target = Overview['targets'][number];

const TARGETS: Column<Target>[] = [
  {
    name: 'Model',
    cell: ({ model, endpoint }) => (
      <>
        <ModelName model={model} />
        {endpoint !== model && <div class="small faint">{endpoint}</div>}
      </>
    ),
  },
  { name: 'Provider', cell: ({ provider }) => provider },
  {
    name: 'Breaker',
    cell: target => {
      const { label, severity } = standing(target);
      return <Tag tone={severity}>{label}</Tag>;
    },
  },
  {
    name: 'Cooldown',
    number: true,
    cell: ({ cooldown_s }) => (cooldown_s === null ? UNKNOWN : duration(cooldown_s)),
  },
  {
    name: <abbr title="Time to first token, as predicted for the next request">TTFT</abbr>,
    number: true,
    cell: ({ ttft_ms }) => ms(ttft_ms),
  },
  { name: 'Samples', number: true, cell: ({ samples }) => count(samples) },
];

export function TargetsPanel({ overview }: { overview: Overview }) {
  const targets = troubledFirst(overview.targets);
  const troubled = targets.filter(target => standing(target).severity !== 'good').length;
  const said = troubled ? (
    <Tag tone="warn">
      {troubled} of {targets.length} set aside
    </Tag>
  ) : (
    <span class="small faint">all {targets.length} in use</span>
  );
  return (
    <Card title="Targets" end={said} class="targets" flush>
      <Table
        caption="Targets with breaker and cooldown"
        columns={TARGETS}
        rows={targets}
        keyOf={({ model, provider, endpoint }) => `${model} ${provider} ${endpoint}`}
      />
    </Card>
  );
}

const CAUSES: Record<string, string> = {
  connect: 'no connection',
  status: 'error status',
  timeout: 'too slow',
  malformed: 'unreadable answer',
  empty: 'empty answer',
  stream: 'stream broke',
};

export function CausesPanel({ overview }: { overview: Overview }) {
  const causes = shares(overview.failovers.map(({ cause, count: some }) => ({ name: cause, count: some })));
  const total = causes.reduce((sum, { count: some }) => sum + some, 0);
  return (
    <Card
      title="Failovers by cause"
      end={<span class="small faint">{count(total)} in all</span>}
      class="causes"
    >
      {total === 0 ? (
        <p class="nothing">No attempt was given up.</p>
      ) : (
        <ul class="rows">
          {causes
            .filter(({ count: some }) => some > 0)
            .map(({ name, count: some, share }) => (
              <li key={name}>
                <span>
                  {name} <span class="small faint">{CAUSES[name]}</span>
                </span>
                <Bar share={share} />
                <span class="number">{percent(share)}</span>
                <span class="number faint">{count(some)}</span>
              </li>
            ))}
        </ul>
      )}
    </Card>
  );
}

export function PricesPanel({ overview }: { overview: Overview }) {
  return (
    <Card title="Prices" end={<span class="small faint">source and age</span>} class="prices">
      {overview.prices.length === 0 && <p class="nothing">No model has a price.</p>}
      <ul class="sources">
        {overview.prices.map(({ source, age_s, models, fault }) => (
          <li key={source}>
            <span>
              {source}{' '}
              <span class="small faint">
                {count(models)} {models === 1 ? 'model' : 'models'}
              </span>
              {fault !== null && <span class="small bad-text block">{fault}</span>}
            </span>
            <span class="number">{age(source, age_s)}</span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function age(source: string, seconds: number | null): string {
  if (seconds !== null) return `${duration(seconds)} old`;
  return source === 'configured' ? 'from the configuration' : 'not fetched yet';
}
