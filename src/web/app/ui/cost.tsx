/** What an amount is made of, in the same four colors everywhere. */
import type { Cost, CostParts } from '../api';
import { count, money } from './format';
import { Parts } from './parts';

export const COST_PARTS = [
  { key: 'input', name: 'input', short: 'in', color: 'var(--cost-input)' },
  { key: 'cache_read', name: 'cache read', short: 'read', color: 'var(--cost-read)' },
  { key: 'cache_write', name: 'cache write', short: 'write', color: 'var(--cost-write)' },
  { key: 'output', name: 'output', short: 'out', color: 'var(--cost-output)' },
] as const;

type Amounts = Record<(typeof COST_PARTS)[number]['key'], number>;

export const expected = (cost: CostParts): Amounts => ({
  input: cost.input_usd,
  cache_read: cost.cache_read_usd,
  cache_write: cost.cache_write_usd,
  output: cost.output_usd,
});

/** The parts as one bar; `whole` puts several bars on one scale. */
export function CostBar({ amounts, whole }: { amounts: Amounts; whole?: number | undefined }) {
  const parts = COST_PARTS.map(part => ({ amount: amounts[part.key], color: part.color }));
  return <Parts parts={parts} {...(whole === undefined ? {} : { whole })} />;
}

/** "in $0.0001 · out $0.002": the parts that are not nothing. */
export function costInWords(amounts: Amounts): string {
  const told = COST_PARTS.filter(part => amounts[part.key] > 0).map(
    part => `${part.short} ${money(amounts[part.key])}`,
  );
  return told.length > 0 ? told.join(' · ') : 'nothing';
}

/** The four parts with their tokens, as a table of figures. */
export function CostSplit({
  cost,
  tokens,
  whole,
}: {
  cost: Cost | null;
  tokens: Amounts | null;
  whole?: number | undefined;
}) {
  return (
    <div class="cost-split">
      {cost ? <CostBar amounts={cost} whole={whole} /> : <Parts parts={[]} />}
      <dl>
        {COST_PARTS.map(part => (
          <div key={part.key}>
            <dt>
              <i class="swatch" style={{ background: part.color }} />
              {part.name}
            </dt>
            <dd>
              {money(cost?.[part.key])}
              {tokens && <span class="faint"> {count(tokens[part.key])} tok</span>}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
