/** What was paid, beside what the same tokens would have cost elsewhere. All but the first bar is an estimate. */
import type { Overview } from '../../api';
import { counted, money, percent } from '../../ui/format';
import { Card, Tag } from '../../ui/parts';
import { type Comparison, comparisons } from './figures';

type Props = {
  overview: Overview;
  models: string[];
  compare: string;
  onCompare: (model: string) => void;
};

export function CostPanel({ overview, models, compare, onCompare }: Props) {
  const left = overview.cost_unknown_requests;
  const choice = (
    <label class="row small muted">
      Compare with
      <select class="input" value={compare} onChange={event => onCompare(event.currentTarget.value)}>
        <option value="">no single model</option>
        {models.map(model => (
          <option key={model} value={model}>
            {model}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <Card title="Cost" end={choice} class="cost">
      <ul class="comparisons">
        {comparisons(overview).map(row => (
          <li key={row.kind} class={row.kind}>
            <span>
              {row.label} {row.kind !== 'paid' && <Tag>estimate</Tag>}
            </span>
            <b>{money(row.usd)}</b>
            <span class="bar" aria-hidden="true">
              <i style={{ width: `${row.length * 100}%` }} />
            </span>
            <span class="small">{difference(row)}</span>
          </li>
        ))}
      </ul>
      <p class="small faint">
        Estimates take the same tokens at the other model’s list price in force, without its cache discounts.
        {left > 0 &&
          ` ${counted(left, 'request')} without a known price ${left === 1 ? 'is' : 'are'} left out.`}
      </p>
    </Card>
  );
}

function difference({ kind, difference: share }: Comparison) {
  if (kind === 'paid') return <span class="faint">with routing</span>;
  if (share === null) return null;
  if (Math.abs(share) < 0.005) return <span class="faint">the same as with routing</span>;
  return share < 0 ? (
    <span class="good-text">routing saved {percent(-share)}</span>
  ) : (
    <span class="faint">routing cost {percent(share)} more</span>
  );
}
