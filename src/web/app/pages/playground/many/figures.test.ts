import { expect, test } from 'vitest';
import { axis, quantile } from '../scale';
import { cell } from './csv';

test('cells are quoted, and what looks like a formula is text', () => {
  expect([cell('a'), cell('a,b'), cell('say "x"\n'), cell('=1+1'), cell(-2), cell(null)]).toEqual([
    'a',
    '"a,b"',
    '"say ""x""\n"',
    "'=1+1",
    '-2',
    '',
  ]);
});

test('quantiles are values that occurred', () => {
  expect([quantile([3, 1, 2], 0.5), quantile([1, 2, 3, 4], 0.95), quantile([], 0.5)]).toEqual([2, 4, null]);
});

test('an axis covers its values, by powers of ten where they lie far apart', () => {
  const near = axis([120, 480], 1);
  expect([near.log, near.marks[0], near.at(0)]).toEqual([false, 0, 0]);
  expect(near.at(480)).toBeLessThanOrEqual(1);
  const far = axis([0.00002, 0.01], 1);
  expect([far.log, far.marks.length]).toEqual([true, 4]);
  expect(far.at(0.01)).toBeLessThanOrEqual(1);
  expect(far.at(0.00002)).toBeGreaterThanOrEqual(0);
});
