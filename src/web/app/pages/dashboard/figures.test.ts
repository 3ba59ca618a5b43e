import { describe, expect, it } from 'vitest';
import type { Overview } from '../../api';
import {
  byRouter,
  classified,
  columns,
  comparisons,
  joined,
  rates,
  shares,
  standing,
  troubledFirst,
} from './figures';

function overview(changes: Partial<Overview> = {}): Overview {
  return {
    now: '2026-11-21T12:00:00Z',
    started: '2026-11-21T11:00:00Z',
    uptime_s: 3600,
    generation: 1,
    draining: false,
    in_flight: 0,
    requests: 0,
    outcomes: { ok: 0, rejected: 0, error: 0, cancelled: 0 },
    reasons: { matched: 0, no_match: 0, pinned: 0, continued: 0, unclassified: 0, direct: 0 },
    models: [],
    tasks: [],
    attempts: 0,
    failovers: [],
    fallback_answers: 0,
    cost_usd: 0,
    cost_unknown_requests: 0,
    cost_if: { dearest: null, compare: null },
    cost_compared_usd: 0,
    targets: [],
    prices: [],
    series: { step_s: 5, from: '2026-11-21T11:50:00Z', points: [] },
    ...changes,
  };
}

const model = (name: string, requests: number) => ({
  model: name,
  requests,
  input_tokens: 0,
  output_tokens: 0,
  cost_usd: null,
  ttft_p50_ms: null,
  ttft_p95_ms: null,
});

describe('rates', () => {
  it('are unknown, not zero, before anything was asked', () => {
    expect(Object.values(rates(overview()))).toEqual([null, null, null, null, null, null]);
  });

  it('leave out requests that the classifier was not asked about', () => {
    const busy = overview({
      reasons: { matched: 6, no_match: 3, pinned: 50, continued: 40, unclassified: 1, direct: 30 },
    });
    expect(classified(busy)).toBe(10);
    expect(rates(busy)).toMatchObject({ matched: 0.6, noMatch: 0.3, unclassified: 0.1 });
  });

  it('count failovers against attempts and fallbacks against answers', () => {
    const busy = overview({
      models: [model('a', 30), model('b', 10)],
      attempts: 50,
      failovers: [
        { cause: 'timeout', count: 3 },
        { cause: 'status', count: 2 },
      ],
      fallback_answers: 4,
      requests: 45,
      outcomes: { ok: 40, rejected: 2, error: 9, cancelled: 1 },
    });
    expect(rates(busy)).toMatchObject({ failover: 0.1, fallback: 0.1, errors: 0.2 });
  });
});

describe('comparisons', () => {
  it('say what was paid against the dearest and a named model, with bars of the longest', () => {
    const rows = comparisons(
      overview({
        cost_compared_usd: 0.38,
        cost_if: {
          dearest: { model: null, cost_usd: 1 },
          compare: { model: 'glm-5', cost_usd: 0.19 },
        },
      }),
    );
    expect(rows.map(row => row.label)).toEqual(['Paid', 'Dearest candidate each time', 'Always glm-5']);
    expect(rows.map(row => row.length)).toEqual([0.38, 1, 0.19]);
    expect(rows[1]?.difference).toBeCloseTo(-0.62);
    expect(rows[2]?.difference).toBeCloseTo(1);
  });

  it('claim no difference against a model that costs nothing', () => {
    const rows = comparisons(
      overview({
        cost_compared_usd: 0.1,
        cost_if: { dearest: null, compare: { model: 'free', cost_usd: 0 } },
      }),
    );
    expect(rows[1]?.difference).toBeNull();
  });

  it('have no length before anything was paid', () => {
    expect(comparisons(overview()).map(row => row.length)).toEqual([0]);
  });
});

describe('shares', () => {
  it('are of the whole, the largest first', () => {
    expect(
      shares([
        { name: 'a', count: 1 },
        { name: 'b', count: 3 },
      ]),
    ).toEqual([
      { name: 'b', count: 3, share: 0.75 },
      { name: 'a', count: 1, share: 0.25 },
    ]);
  });
});

describe('targets', () => {
  const target = (name: string, changes: Partial<Overview['targets'][number]> = {}) => ({
    model: name,
    provider: 'p',
    endpoint: name,
    breaker: 'closed' as const,
    cooldown_s: null,
    ttft_ms: null,
    samples: 0,
    ...changes,
  });

  it('in trouble come first, the worst before the rest', () => {
    const order = troubledFirst([
      target('fine'),
      target('cooling', { cooldown_s: 12 }),
      target('open', { breaker: 'open' }),
      target('also fine'),
    ]);
    expect(order.map(({ model }) => model)).toEqual(['open', 'cooling', 'fine', 'also fine']);
  });

  it('that are open are not called cooling down', () => {
    expect(standing(target('x', { breaker: 'open', cooldown_s: 3 })).label).toBe('open');
    expect(standing(target('x', { cooldown_s: 0 })).label).toBe('cooling down');
  });
});

describe('tasks', () => {
  it('are grouped by router, their shares within it', () => {
    const groups = byRouter(
      overview({
        tasks: [
          { router: 'small', task: 'one', requests: 1, models: [{ model: 'a', requests: 1 }] },
          {
            router: 'large',
            task: 'two',
            requests: 6,
            models: [
              { model: 'a', requests: 2 },
              { model: 'b', requests: 4 },
            ],
          },
          { router: 'large', task: null, requests: 2, models: [] },
        ],
      }),
    );
    expect(groups.map(({ router, requests }) => [router, requests])).toEqual([
      ['large', 8],
      ['small', 1],
    ]);
    expect(groups[0]?.tasks.map(({ task, share }) => [task, share])).toEqual([
      ['two', 0.75],
      [null, 0.25],
    ]);
    expect(groups[0]?.tasks[0]?.models[0]?.name).toBe('b');
  });
});

describe('columns', () => {
  const point = (t: number, changes: object = {}) => ({
    t,
    requests: 0,
    errors: 0,
    cost_usd: 0,
    ttft: {},
    ...changes,
  });
  const during = (seconds: number[], points: ReturnType<typeof point>[]) => {
    const [started = 0, now = 0] = seconds.map(second => new Date(second * 1000).toISOString());
    return columns(
      overview({ started: String(started), now: String(now), series: { step_s: 5, from: '', points } }),
    );
  };

  it('hold a gap where a model did not answer, and rates by the second', () => {
    const { models, ttft, requests, errors, time } = during(
      [90, 200],
      [
        point(100, { requests: 10, ttft: { b: 200 } }),
        point(105),
        point(110, { requests: 5, errors: 5, ttft: { a: 90, b: null } }),
      ],
    );
    expect(models).toEqual(['a', 'b']);
    expect(time).toEqual([100, 105, 110]);
    expect(ttft).toEqual([
      [null, null, 90],
      [200, null, null],
    ]);
    expect(requests).toEqual([2, 0, 1]);
    expect(errors).toEqual([0, 0, 1]);
  });

  it('begin with the process and end with the last step that is over', () => {
    const { time } = during(
      [103, 118],
      [90, 95, 100, 105, 110, 115].map(t => point(t)),
    );
    expect(time).toEqual([100, 105, 110]);
  });
});

describe('joined', () => {
  it('bridges a short silence and leaves a long one, and the ends', () => {
    expect(joined([null, 1, null, null, 2, null])).toEqual([null, 1, undefined, undefined, 2, null]);
    const long = [1, ...Array<null>(6).fill(null), 2];
    expect(joined(long)).toEqual(long);
  });
});
