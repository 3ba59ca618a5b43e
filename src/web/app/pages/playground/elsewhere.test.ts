import { expect, test } from 'vitest';
import type { CatalogModel, Usage } from '../../api';
import { costAt } from './elsewhere';

const usage: Usage = {
  input: 1000,
  cache_read: 400,
  cache_write: 100,
  output: 50,
  reasoning: 0,
  estimated: false,
};
const at = (price: Partial<CatalogModel['price']> | null) => costAt({ price } as CatalogModel, usage);

test('each kind of token at its own rate, and at the input rate where there is none', () => {
  expect(at({ input: 2, cache_read: 0.2, cache_write: 2.5, output: 10 })).toBeCloseTo(
    (500 * 2 + 400 * 0.2 + 100 * 2.5 + 50 * 10) / 1e6,
    12,
  );
  expect(at({ input: 2, output: 10 })).toBeCloseTo((1000 * 2 + 50 * 10) / 1e6, 12);
});

test('an unknown price gives no figure', () => {
  expect([at(null), at({ input: 2, output: null }), costAt(undefined, usage)]).toEqual([null, null, null]);
});
