import { expect, test } from 'vitest';
import { change, compact, duration, money, ms, msChange, percent } from './format';

test('money keeps what is tiny readable', () => {
  expect([0, 0.00042, 0.000123456, 0.1, 0.25, 1.5, 12345, null].map(money)).toEqual([
    '$0',
    '$0.00042',
    '$0.000123',
    '$0.10',
    '$0.25',
    '$1.50',
    '$12,345',
    '–',
  ]);
  expect(money(-0.002)).toBe('−$0.002');
});

test('times, shares and counts', () => {
  expect([3.12, 38, 1240, 12_340, 125_000, undefined].map(ms)).toEqual([
    '3.1 ms',
    '38 ms',
    '1.24 s',
    '12.3 s',
    '2 min 05 s',
    '–',
  ]);
  expect([0, 0.001, 0.874, 1].map(share => percent(share))).toEqual(['0 %', '<1 %', '87 %', '100 %']);
  expect([950, 1200, 34_000, 2_500_000].map(compact)).toEqual(['950', '1.2k', '34k', '2.5M']);
  expect([5, 3725, 93_600].map(duration)).toEqual(['5 s', '1 h 02 min', '1 d 2 h']);
});

test('differences carry their sign', () => {
  expect([change(38, 100), change(140, 100), change(100, 100), change(5, 0)]).toEqual([
    '−62 %',
    '+40 %',
    '±0 %',
    '–',
  ]);
  expect([msChange(140, 100), msChange(60, 100), msChange(100, 100)]).toEqual(['+40 ms', '−40 ms', '±0 ms']);
});
