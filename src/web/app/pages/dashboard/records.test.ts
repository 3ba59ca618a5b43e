import { describe, expect, it } from 'vitest';
import type { Decision, RequestRecord } from '../../api';
import { filtered, isFiltering, MOST_RECORDS, merged, NO_FILTER, occurring } from './records';

function record(seq: number, changes: Partial<RequestRecord> = {}): RequestRecord {
  return {
    id: `id-${seq}`,
    seq,
    at: `2026-11-21T12:00:${String(seq % 60).padStart(2, '0')}Z`,
    state: 'done',
    key: null,
    source: 'data_plane',
    router: 'writing',
    task: 'translation',
    reason: 'matched',
    confidence: 0.9,
    asked: null,
    model: 'glm-5',
    provider: 'zhipu',
    endpoint: 'glm-5',
    attempts: 1,
    status: 200,
    code: null,
    outcome: 'ok',
    streamed: true,
    dry_run: false,
    usage: null,
    cost: null,
    ttft_ms: 300,
    duration_ms: 900,
    overhead_ms: 4,
    generation: 1,
    decision: null,
    ...changes,
  };
}

describe('merged', () => {
  it('puts the newest first and replaces what is known', () => {
    const open = record(1, { state: 'open', outcome: null });
    const list = merged([open, record(0)], [record(2), record(3, { id: open.id, at: open.at })]);
    expect(list.map(({ seq }) => seq)).toEqual([3, 2, 0]);
    expect(list[0]?.state).toBe('done');
  });

  it('does not open again what is done, whatever order the news come in', () => {
    const done = record(5);
    expect(merged([done], [record(4, { id: done.id, at: done.at, state: 'open' })])).toEqual([done]);
  });

  it('keeps a decision that later news leave out', () => {
    const decision = { task: 'translation' } as Decision;
    const first = record(1, { state: 'open', decision });
    const list = merged([first], [record(2, { id: first.id, at: first.at })]);
    expect(list[0]?.decision).toBe(decision);
  });

  it('tells requests with the same id apart', () => {
    expect(merged([record(1, { id: 'same' })], [record(2, { id: 'same' })])).toHaveLength(2);
  });

  it('is bounded', () => {
    const many = Array.from({ length: 450 }, (_, seq) => record(seq, { at: `t${seq}` }));
    const list = merged([], many);
    expect(list).toHaveLength(MOST_RECORDS);
    expect(list[0]?.seq).toBe(449);
  });
});

describe('filtered', () => {
  const list = [
    record(3, { state: 'open', outcome: null, status: null }),
    record(2, { router: 'general', reason: 'no_match', task: null }),
    record(1, { status: 502, outcome: 'error', code: 'upstream_error', model: null, endpoint: null }),
  ];
  const seqs = (changes: object) => filtered(list, { ...NO_FILTER, ...changes }).map(({ seq }) => seq);

  it('wants every word, in any of the names', () => {
    expect(seqs({ text: '' })).toEqual([3, 2, 1]);
    expect(seqs({ text: 'GLM transl' })).toEqual([3]);
    expect(seqs({ text: '502' })).toEqual([1]);
    expect(seqs({ text: 'glm nothing' })).toEqual([]);
  });

  it('wants equal router, reason and outcome', () => {
    expect(seqs({ router: 'general' })).toEqual([2]);
    expect(seqs({ reason: 'matched' })).toEqual([3, 1]);
    expect(seqs({ outcome: 'open' })).toEqual([3]);
    expect(seqs({ outcome: 'error' })).toEqual([1]);
  });

  it('knows when it is at work', () => {
    expect(isFiltering(NO_FILTER)).toBe(false);
    expect(isFiltering({ ...NO_FILTER, text: ' ' })).toBe(false);
    expect(isFiltering({ ...NO_FILTER, outcome: 'ok' })).toBe(true);
  });
});

it('offers the values that occur', () => {
  const list = [record(1), record(2, { router: null }), record(3, { router: 'general' })];
  expect(occurring(list, 'router')).toEqual(['general', 'writing']);
});
