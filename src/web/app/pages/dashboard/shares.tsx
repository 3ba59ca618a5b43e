/** Who answered, and what was asked for: models and tasks with their share, and how each did. */
import type { Overview } from '../../api';
import { compact, count, money, ms, percent } from '../../ui/format';
import { modelColor } from '../../ui/models';
import { Card, type Column, Table } from '../../ui/parts';
import { byRouter, type RouterTasks, rate } from './figures';

type Model = Overview['models'][number];

export function ModelsPanel({ overview }: { overview: Overview }) {
  const whole = overview.models.reduce((sum, { requests }) => sum + requests, 0);
  const models = [...overview.models].sort((one, other) => other.requests - one.requests);
  const columns: Column<Model>[] = [
    { name: 'Model', cell: ({ model }) => <ModelName model={model} /> },
    {
      name: 'Share',
      class: 'share',
      cell: ({ model, requests }) => <ColoredShare share={rate(requests, whole)} color={modelColor(model)} />,
    },
    { name: 'Answers', number: true, cell: ({ requests }) => count(requests) },
    {
      name: 'Tokens in / out',
      number: true,
      cell: row => `${compact(row.input_tokens)} / ${compact(row.output_tokens)}`,
    },
    { name: 'Cost', number: true, cell: row => money(row.cost_usd) },
    {
      name: <abbr title="Time to first token, median">TTFT p50</abbr>,
      number: true,
      cell: row => ms(row.ttft_p50_ms),
    },
    {
      name: <abbr title="Time to first token, 95th percentile">p95</abbr>,
      number: true,
      cell: row => ms(row.ttft_p95_ms),
    },
  ];
  return (
    <Card title="Models" end={<span class="small faint">answered by</span>} class="models" flush>
      <Table
        caption="Models by answers"
        columns={columns}
        rows={models}
        keyOf={({ model }) => model}
        empty="No model has answered yet."
      />
    </Card>
  );
}

export const ModelName = ({ model }: { model: string }) => (
  <span class="model-name">
    <i class="swatch" style={{ background: modelColor(model) }} />
    {model}
  </span>
);

function ColoredShare({ share, color }: { share: number | null; color: string }) {
  return (
    <span class="colored-share">
      <span class="bar" aria-hidden="true">
        <i style={{ width: `${(share ?? 0) * 100}%`, background: color }} />
      </span>
      {percent(share)}
    </span>
  );
}

export function TasksPanel({ overview }: { overview: Overview }) {
  const groups = byRouter(overview);
  return (
    <Card
      title="Tasks"
      end={<span class="small faint">by router, and who answered</span>}
      class="tasks"
      flush
    >
      {groups.length === 0 && <p class="nothing">No request has been routed yet.</p>}
      <div class="groups">
        {groups.map(group => (
          <RouterGroup key={group.router} group={group} />
        ))}
      </div>
    </Card>
  );
}

function RouterGroup({ group }: { group: RouterTasks }) {
  return (
    <table class="group">
      <caption>
        <a href={`/routers#router=${encodeURIComponent(group.router)}`}>{group.router}</a>
        <span class="faint">{group.requests === 1 ? '1 request' : `${count(group.requests)} requests`}</span>
      </caption>
      <thead class="unseen">
        <tr>
          <th scope="col">Task</th>
          <th scope="col">Models</th>
          <th scope="col">Share</th>
          <th scope="col">Requests</th>
        </tr>
      </thead>
      <tbody>
        {group.tasks.map(row => (
          <tr key={row.task ?? ''}>
            <th scope="row" class={row.task === null ? 'faint' : ''}>
              {row.task ?? 'none of them'}
            </th>
            <td class="models-of">
              <span class="bar" aria-hidden="true">
                <span class="parts" style={{ width: `${(row.share ?? 0) * 100}%` }}>
                  {row.models.map(({ name, share, count: requests }) => (
                    <i
                      key={name}
                      title={`${name}: ${count(requests)}`}
                      style={{ flex: `${share ?? 0} 0 0`, background: modelColor(name) }}
                    />
                  ))}
                </span>
              </span>
              <span class="unseen">
                {row.models.map(({ name, count: requests }) => `${name} ${count(requests)}`).join(', ')}
              </span>
            </td>
            <td class="number">{percent(row.share)}</td>
            <td class="number faint">{count(row.requests)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
