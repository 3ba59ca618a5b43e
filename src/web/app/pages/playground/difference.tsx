/** What choosing A means against B: cost, first content, total. */
import { change, ms, msChange } from '../../ui/format';
import type { RunState } from './run';

type Line = { name: string; text: string; better: boolean | null };

const toward = (
  value: number | null | undefined,
  base: number | null | undefined,
  slack: number,
): boolean | null => {
  if (value == null || base == null || Math.abs(value - base) <= slack) return null;
  return value < base;
};

export function differences(a: RunState, b: RunState): Line[] {
  const [costA, costB] = [a.record?.cost?.total, b.record?.cost?.total];
  const whole = a.phase === 'done' && b.phase === 'done';
  return [
    { name: 'cost', text: change(costA, costB), better: toward(costA, costB, (costB ?? 0) * 0.005) },
    { name: 'to first token', text: msChange(a.firstMs, b.firstMs), better: toward(a.firstMs, b.firstMs, 5) },
    ...(whole
      ? [{ name: 'in total', text: msChange(a.endMs, b.endMs), better: toward(a.endMs, b.endMs, 10) }]
      : []),
  ];
}

/** "−62 % cost, +40 ms to first token" */
export const inWords = (a: RunState, b: RunState): string =>
  differences(a, b)
    .map(line => `${line.text} ${line.name}`)
    .join(', ');

export function Difference({ a, b }: { a: RunState; b: RunState }) {
  return (
    <div role="group" class="difference" aria-label="A against B">
      <span class="label">A against B</span>
      {differences(a, b).map(line => (
        <div key={line.name}>
          <div class={`by ${line.better === null ? '' : line.better ? 'better' : 'worse'}`}>{line.text}</div>
          <div class="small muted">{line.name}</div>
        </div>
      ))}
      {(a.phase === 'failed') !== (b.phase === 'failed') && <span class="small muted">one side failed</span>}
      {a.endMs !== null && b.endMs !== null && (
        <span class="unseen">
          {ms(a.endMs)} and {ms(b.endMs)} in all
        </span>
      )}
    </div>
  );
}
