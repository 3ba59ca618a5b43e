/** The first line of the instrument: the figures that say whether all is well, each with what it is made of. */
import type { ComponentChildren } from 'preact';
import type { Overview } from '../../api';
import { count, duration, money, percent, UNKNOWN } from '../../ui/format';
import { answered, classified, rates } from './figures';

export function Strip({ overview }: { overview: Overview }) {
  const { outcomes, reasons, requests } = overview;
  const rate = rates(overview);
  const asked = classified(overview);
  const failovers = overview.failovers.reduce((sum, cause) => sum + cause.count, 0);
  return (
    <section class="card strip" aria-label="Key figures">
      <dl>
        <Cell name="Requests" value={count(requests)} meaning="Since the process started, dry runs left out">
          {count(outcomes.ok)} ok · {count(outcomes.rejected)} rejected · {count(outcomes.cancelled)}{' '}
          cancelled
        </Cell>
        <Cell name="In flight" value={count(overview.in_flight)} meaning="Requests that are open now">
          {overview.draining ? <b class="warn-text">draining</b> : `up ${duration(overview.uptime_s)}`}
        </Cell>
        <Cell
          name="Errors"
          value={percent(rate.errors, 1)}
          tone={outcomes.error > 0 ? 'bad' : ''}
          meaning="Requests that no target answered, of all requests"
        >
          {count(outcomes.error)} of {count(requests)}
        </Cell>
        <Cell
          name="Matched"
          value={percent(rate.matched, 1)}
          meaning="A task was likely enough; of the requests that were classified (pinned, continued and direct ones are not)"
        >
          {count(reasons.matched)} of {count(asked)}
        </Cell>
        <Cell
          name="No match"
          value={percent(rate.noMatch, 1)}
          meaning="Classified, and no task was likely enough"
        >
          {count(reasons.no_match)} of {count(asked)}
        </Cell>
        <Cell
          name="Unclassified"
          value={percent(rate.unclassified, 1)}
          tone={(rate.unclassified ?? 0) > 0.05 ? 'warn' : ''}
          meaning="The classifier was late, down or absent"
        >
          {count(reasons.unclassified)} of {count(asked)}
        </Cell>
        <Cell
          name="Not classified"
          value={count(reasons.pinned + reasons.continued + reasons.direct)}
          meaning="Pinned to their session's model, continuing a tool loop, or sent to a model by name"
        >
          {count(reasons.pinned)} pinned · {count(reasons.continued)} continued · {count(reasons.direct)}{' '}
          direct
        </Cell>
        <Cell
          name="Failover"
          value={percent(rate.failover, 1)}
          meaning="Attempts that were given up for the next target, of all attempts"
        >
          {count(failovers)} of {count(overview.attempts)} attempts
        </Cell>
        <Cell name="Fallback" value={percent(rate.fallback, 1)} meaning="Answers that a fallback model gave">
          {count(overview.fallback_answers)} of {count(answered(overview))} answers
        </Cell>
        <Cell
          name="Cost"
          value={requests ? money(overview.cost_usd) : UNKNOWN}
          meaning="At the prices in force"
        >
          {spent(overview)}
        </Cell>
      </dl>
    </section>
  );
}

function spent(overview: Overview): string {
  if (overview.cost_unknown_requests > 0) return `${count(overview.cost_unknown_requests)} without a price`;
  const answers = answered(overview);
  return answers > 0 ? `${money((overview.cost_usd / answers) * 1000)} per 1,000` : 'nothing spent';
}

type CellProps = {
  name: string;
  value: string;
  meaning: string;
  tone?: '' | 'warn' | 'bad';
  children: ComponentChildren;
};

function Cell({ name, value, meaning, tone = '', children }: CellProps) {
  return (
    <div title={meaning}>
      <dt class="label">{name}</dt>
      <dd class={`figure ${tone && `${tone}-text`}`}>{value}</dd>
      <dd class="small faint">{children}</dd>
    </div>
  );
}
