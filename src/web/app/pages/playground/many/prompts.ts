/** Reads prompts from what was pasted or uploaded: a line each, CSV, or JSON lines. */
import type { Message } from '../run';

export type Prompt = { text: string; messages: Message[] };
export type Read = { prompts: Prompt[]; faults: string[]; leftOut: number };

export const MOST = 200;
const COLUMNS = ['prompt', 'text', 'question', 'input', 'message', 'query'];

export function readPrompts(text: string, fileName = ''): Read {
  const faults: string[] = [];
  const clean = text.replace(/^\uFEFF/, '');
  const found = /\.csv$/i.test(fileName)
    ? fromCsv(clean)
    : /\.(jsonl|ndjson)$/i.test(fileName) || isJsonLines(clean)
      ? fromJsonLines(clean, faults)
      : clean.split(/\r?\n/).map(line => plain(line));
  const prompts = found.filter(prompt => prompt.text !== '');
  return { prompts: prompts.slice(0, MOST), faults, leftOut: Math.max(0, prompts.length - MOST) };
}

/** Whether a pasted text is JSON lines: a prompt may well begin with a quotation. */
function isJsonLines(text: string): boolean {
  const [first = ''] = text.trimStart().split(/\r?\n/, 1);
  if (/^\{\s*"/.test(first)) return true;
  try {
    return first.startsWith('"') && typeof JSON.parse(first) === 'string';
  } catch {
    return false;
  }
}

const plain = (line: string): Prompt => {
  const text = line.trim();
  return { text, messages: [{ role: 'user', content: text }] };
};

function fromCsv(text: string): Prompt[] {
  const rows = csvRows(text);
  const head = rows[0]?.map(cell => cell.trim().toLowerCase()) ?? [];
  const column = head.findIndex(cell => COLUMNS.includes(cell));
  return (column < 0 ? rows : rows.slice(1)).map(row => plain(row[Math.max(0, column)] ?? ''));
}

/** Cells of a CSV text: quotes hold commas and line breaks, two quotes are one. */
export function csvRows(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|$)/g)) {
    row.push(quoted?.replaceAll('""', '"') ?? bare ?? '');
    if (end === ',') continue;
    if (row.some(cell => cell !== '')) rows.push(row);
    row = [];
  }
  return rows;
}

function fromJsonLines(text: string, faults: string[]): Prompt[] {
  const prompts: Prompt[] = [];
  text.split(/\r?\n/).forEach((line, place) => {
    if (line.trim() === '') return;
    try {
      const prompt = fromValue(JSON.parse(line));
      if (prompt) prompts.push(prompt);
      else faults.push(`line ${place + 1}: has neither \`prompt\`, \`text\` nor \`messages\``);
    } catch {
      faults.push(`line ${place + 1}: is not JSON`);
    }
  });
  return prompts;
}

function fromValue(value: unknown): Prompt | null {
  if (typeof value === 'string') return plain(value);
  if (typeof value !== 'object' || value === null) return null;
  const record = value as Record<string, unknown>;
  const messages = record.messages ?? record.conversation;
  if (Array.isArray(messages)) return fromMessages(messages);
  const text = COLUMNS.map(name => record[name]).find(one => typeof one === 'string');
  return typeof text === 'string' ? plain(text) : null;
}

function fromMessages(messages: unknown[]): Prompt | null {
  const read: Message[] = [];
  for (const one of messages as { role?: unknown; content?: unknown }[]) {
    const role = one?.role;
    if ((role !== 'system' && role !== 'user' && role !== 'assistant') || typeof one.content !== 'string')
      return null;
    read.push({ role, content: one.content });
  }
  const last = read.findLast(message => message.role === 'user');
  return last ? { text: last.content, messages: read } : null;
}
