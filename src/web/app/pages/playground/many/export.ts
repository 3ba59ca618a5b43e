/** The results as files, made in the browser. */
import { isRouter, SIDES, type SideName } from '../settings';
import { type Batch, type Row, stateOf, totals } from './batch';
import { cell } from './csv';

function sideOf(row: Row, side: SideName) {
  const state = stateOf(row, side);
  const run = row.runs.value?.[side];
  if (!state || !run) return null;
  const { record, decision } = state;
  return {
    target: run.target,
    model: state.model,
    provider: state.provider,
    task: decision?.task ?? null,
    reason: decision?.reason ?? null,
    confidence: decision?.confidence ?? null,
    outcome: state.phase,
    error: state.error ? { code: state.error.code, message: state.error.message } : null,
    cost_usd: record?.cost ?? null,
    usage: record?.usage ?? null,
    first_token_ms: state.firstMs,
    total_ms: state.endMs,
    request_id: run.id,
    answer: state.text,
  };
}

export function asJson(batch: Batch): string {
  const rows = batch.rows.map(row => ({
    number: row.number,
    messages: row.prompt.messages,
    vote: row.vote.value,
    a: sideOf(row, 'a'),
    b: sideOf(row, 'b'),
  }));
  const sums = { a: totals(batch.rows, 'a'), b: totals(batch.rows, 'b') };
  return `${JSON.stringify({ started_at: batch.startedAt, targets: batch.targets, totals: sums, rows }, null, 2)}\n`;
}

const FIELDS = [
  'model',
  'task',
  'reason',
  'confidence',
  'outcome',
  'error',
  'cost_usd',
  'input_tokens',
  'output_tokens',
  'first_token_ms',
  'total_ms',
  'request_id',
  'answer',
];

export function asCsv(batch: Batch): string {
  const head = [
    'number',
    'prompt',
    'vote',
    ...SIDES.flatMap(side => ['target', ...FIELDS].map(field => `${side}_${field}`)),
  ];
  const lines = batch.rows.map(row => [
    row.number,
    row.prompt.text,
    row.vote.value,
    ...SIDES.flatMap(side => flat(row, side, batch)),
  ]);
  return [head, ...lines]
    .map(line => line.map(cell).join(','))
    .join('\r\n')
    .concat('\r\n');
}

function flat(row: Row, side: SideName, batch: Batch): (string | number | null)[] {
  const told = sideOf(row, side);
  if (!told) return [batch.targets[side], ...FIELDS.map(() => null)];
  const { usage, cost_usd: cost } = told;
  return [
    told.target,
    told.model,
    isRouter(told.target) ? told.task : null,
    told.reason,
    told.confidence,
    told.outcome,
    told.error?.code ?? null,
    cost?.total ?? null,
    usage?.input ?? null,
    usage?.output ?? null,
    told.first_token_ms,
    told.total_ms,
    told.request_id,
    told.answer,
  ];
}

export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
