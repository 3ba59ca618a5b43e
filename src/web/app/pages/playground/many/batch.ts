/** Many prompts to both sides: a few at a time, in order, stopped at will. */
import { computed, type Signal, signal } from '@preact/signals';
import { type Run, type RunState, running, start } from '../run';
import { quantile } from '../scale';
import { chosen, maxTokens, SIDES, type SideName } from '../settings';
import type { Prompt } from './prompts';

export type Vote = SideName | 'tie' | null;
export type Row = {
  number: number;
  prompt: Prompt;
  /** Null until it is this prompt's turn. */
  runs: Signal<Record<SideName, Run> | null>;
  vote: Signal<Vote>;
  /** Which side stands at the left while the names are hidden. */
  left: SideName;
};
export type Batch = { targets: Record<SideName, string>; rows: Row[]; startedAt: string };

export const batch = signal<Batch | null>(null);
export const active = signal(false);
let halted = false;

export function begin(prompts: Prompt[], atOnce: number): void {
  const rows = prompts.map(
    (prompt, place): Row => ({
      number: place + 1,
      prompt,
      runs: signal(null),
      vote: signal(null),
      left: (crypto.getRandomValues(new Uint8Array(1))[0] ?? 0) % 2 === 0 ? 'a' : 'b',
    }),
  );
  const made: Batch = { targets: { ...chosen.peek() }, rows, startedAt: new Date().toISOString() };
  batch.value = made;
  halted = false;
  active.value = true;
  const waiting = [...rows];
  const worker = async () => {
    for (let row = waiting.shift(); row && !halted; row = waiting.shift()) await both(row, made.targets);
  };
  Promise.all(Array.from({ length: atOnce }, worker)).then(() => {
    if (batch.peek() === made) active.value = false;
  });
}

async function both(row: Row, targets: Record<SideName, string>): Promise<void> {
  const one = (side: SideName) =>
    start(
      { target: targets[side], messages: row.prompt.messages, maxTokens: maxTokens.peek(), session: null },
      false,
    );
  const runs = { a: one('a'), b: one('b') };
  row.runs.value = runs;
  await Promise.all([runs.a.done, runs.b.done]);
}

export function halt(): void {
  halted = true;
  for (const row of batch.peek()?.rows ?? []) {
    const runs = row.runs.peek();
    for (const side of SIDES) if (runs && running(runs[side].state.peek())) runs[side].stop();
  }
}

export const stateOf = (row: Row, side: SideName): RunState | null =>
  row.runs.value?.[side].state.value ?? null;
export const rowDone = (row: Row): boolean =>
  SIDES.every(side => {
    const state = stateOf(row, side);
    return state !== null && !running(state);
  });
export const finished = computed(() => batch.value?.rows.filter(rowDone).length ?? 0);

export type Totals = {
  answered: number;
  failed: number;
  cost: number | null;
  unpriced: number;
  outputTokens: number;
  firstMedian: number | null;
  first95: number | null;
  totalMedian: number | null;
  matched: number;
  votes: number;
  models: [string, number][];
};

/** Prompts that both sides have answered: only over these can amounts and times be compared. */
export const bothAnswered = (rows: Row[]): Row[] =>
  rows.filter(row => SIDES.every(side => stateOf(row, side)?.phase === 'done'));

/** How many answered and failed, of all; every other figure is of the prompts that both answered. */
export function totals(rows: Row[], side: SideName): Totals {
  const states = rows.map(row => stateOf(row, side)).filter(state => state !== null);
  const done = bothAnswered(rows)
    .map(row => stateOf(row, side))
    .filter(state => state !== null);
  const costs = done.map(state => state.record?.cost?.total).filter(cost => cost != null);
  const firsts = done.map(state => state.firstMs).filter(first => first !== null);
  const models = new Map<string, number>();
  for (const { model } of done) if (model) models.set(model, (models.get(model) ?? 0) + 1);
  return {
    answered: states.filter(state => state.phase === 'done').length,
    failed: states.filter(state => state.phase === 'failed').length,
    cost: costs.length > 0 ? costs.reduce((sum, cost) => sum + cost, 0) : null,
    unpriced: done.length - costs.length,
    outputTokens: done.reduce((sum, state) => sum + (state.record?.usage?.output ?? 0), 0),
    firstMedian: quantile(firsts, 0.5),
    first95: quantile(firsts, 0.95),
    totalMedian: quantile(
      done.map(state => state.endMs ?? 0),
      0.5,
    ),
    matched: done.filter(state => state.decision?.reason === 'matched').length,
    votes: rows.filter(row => row.vote.value === side).length,
    models: [...models].sort((one, other) => other[1] - one[1]),
  };
}
