/**
 * What the dashboard says in figures, worked out from the overview. Pure: no clock, no network, no document.
 * A rate without a denominator is null, never 0: "nothing was asked" is not "nothing went wrong".
 */

import type { Overview } from '../../api';

export type Share = { name: string; count: number; share: number | null };

/** `part` of `whole`, null where there is no whole. */
export function rate(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}

/** Requests that the classifier was asked about: those pinned, continued or direct were not. */
export function classified(overview: Overview): number {
  const { matched, no_match, unclassified } = overview.reasons;
  return matched + no_match + unclassified;
}

export type Rates = {
  matched: number | null;
  noMatch: number | null;
  unclassified: number | null;
  errors: number | null;
  fallback: number | null;
  failover: number | null;
};

export function rates(overview: Overview): Rates {
  const asked = classified(overview);
  const failovers = overview.failovers.reduce((sum, { count }) => sum + count, 0);
  return {
    matched: rate(overview.reasons.matched, asked),
    noMatch: rate(overview.reasons.no_match, asked),
    unclassified: rate(overview.reasons.unclassified, asked),
    errors: rate(overview.outcomes.error, overview.requests),
    fallback: rate(overview.fallback_answers, answered(overview)),
    failover: rate(failovers, overview.attempts),
  };
}

/** Requests that some model answered. */
export function answered(overview: Overview): number {
  return overview.models.reduce((sum, { requests }) => sum + requests, 0);
}

/** The names with their share of all, the largest first. */
export function shares(counts: { name: string; count: number }[]): Share[] {
  const whole = counts.reduce((sum, { count }) => sum + count, 0);
  return counts
    .map(({ name, count }) => ({ name, count, share: rate(count, whole) }))
    .sort((one, other) => other.count - one.count || one.name.localeCompare(other.name));
}

export type Comparison = {
  kind: 'paid' | 'dearest' | 'compare';
  label: string;
  usd: number;
  /** Length of its bar, of the longest. */
  length: number;
  /** What was paid against this, as a share: -0.62 is 62 % less. Null for what was paid, and against nothing. */
  difference: number | null;
};

/** What was paid, beside what the same tokens would have cost elsewhere; all over the same requests. */
export function comparisons(overview: Overview): Comparison[] {
  const paid = overview.cost_compared_usd;
  const { dearest, compare } = overview.cost_if;
  const longest = Math.max(paid, dearest?.cost_usd ?? 0, compare?.cost_usd ?? 0);
  const length = (usd: number) => (longest > 0 ? usd / longest : 0);
  const other = (kind: 'dearest' | 'compare', label: string, usd: number): Comparison => ({
    kind,
    label,
    usd,
    length: length(usd),
    difference: usd > 0 ? (paid - usd) / usd : null,
  });
  const rows: Comparison[] = [
    { kind: 'paid', label: 'Paid', usd: paid, length: length(paid), difference: null },
  ];
  if (dearest) {
    rows.push(other('dearest', dearest.model ?? 'Dearest candidate each time', dearest.cost_usd));
  }
  if (compare) rows.push(other('compare', `Always ${compare.model}`, compare.cost_usd));
  return rows;
}

export type Trouble = { label: string; severity: 'good' | 'warn' | 'bad' };

/** How a target stands, in words. */
export function standing(target: Overview['targets'][number]): Trouble {
  if (target.breaker === 'open') return { label: 'open', severity: 'bad' };
  if (target.breaker === 'half_open') return { label: 'probing', severity: 'warn' };
  if (target.cooldown_s !== null) return { label: 'cooling down', severity: 'warn' };
  return { label: 'closed', severity: 'good' };
}

/** Targets in trouble first, else in the catalog's order. */
export function troubledFirst(targets: Overview['targets']): Overview['targets'] {
  const weight = { bad: 0, warn: 1, good: 2 };
  return [...targets].sort((one, other) => weight[standing(one).severity] - weight[standing(other).severity]);
}

export type RouterTasks = {
  router: string;
  requests: number;
  tasks: { task: string | null; requests: number; share: number | null; models: Share[] }[];
};

/** Tasks by router, the busiest first. */
export function byRouter(overview: Overview): RouterTasks[] {
  const routers = new Map<string, Overview['tasks']>();
  for (const row of overview.tasks) {
    const rows = routers.get(row.router);
    if (rows) rows.push(row);
    else routers.set(row.router, [row]);
  }
  return [...routers]
    .map(([router, rows]) => {
      const requests = rows.reduce((sum, row) => sum + row.requests, 0);
      const tasks = rows
        .map(row => ({
          task: row.task,
          requests: row.requests,
          share: rate(row.requests, requests),
          models: shares(row.models.map(({ model, requests: count }) => ({ name: model, count }))),
        }))
        .sort((one, other) => other.requests - one.requests);
      return { router, requests, tasks };
    })
    .sort((one, other) => other.requests - one.requests || one.router.localeCompare(other.router));
}

export type Columns = {
  models: string[];
  time: number[];
  ttft: (number | null)[][];
  requests: number[];
  errors: number[];
};

/**
 * The series as a chart wants it: one column for the time, one for each model that was ever seen in it. What is before
 * the process began says nothing, and a step that is not over yet would look like a drop: both are left out.
 */
export function columns(overview: Overview): Columns {
  const { step_s } = overview.series;
  const [started, now] = [Date.parse(overview.started) / 1000, Date.parse(overview.now) / 1000];
  const points = overview.series.points.filter(({ t }) => t + step_s > started && t + step_s <= now);
  const models = [...new Set(points.flatMap(point => Object.keys(point.ttft)))].sort();
  return {
    models,
    time: points.map(point => point.t),
    ttft: models.map(model => points.map(point => point.ttft[model] ?? null)),
    requests: points.map(point => point.requests / Math.max(step_s, 1)),
    errors: points.map(point => point.errors / Math.max(step_s, 1)),
  };
}

/** So many steps without a value are joined; a longer silence is a gap. */
const JOINED_STEPS = 6;

/** The values as the chart wants them: it joins across undefined, and breaks the line at null. */
export function joined(values: (number | null)[]): (number | null | undefined)[] {
  const out: (number | null | undefined)[] = [...values];
  let last = -1;
  for (const [place, value] of values.entries()) {
    if (value === null) continue;
    if (last >= 0 && place - last <= JOINED_STEPS) out.fill(undefined, last + 1, place);
    last = place;
  }
  return out;
}
