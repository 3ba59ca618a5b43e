/** The live list: records merged by what they are about, bounded and filtered. Pure. */

import type { RequestRecord } from '../../api';

/** As many as the server keeps at hand for one question; older ones leave. */
export const MOST_RECORDS = 200;

/** The newest first. A record that is known already is replaced where it stands; `decision` survives a record without. */
export function merged(records: RequestRecord[], news: RequestRecord[]): RequestRecord[] {
  const known = new Map(records.map(record => [key(record), record]));
  for (const record of news) {
    const before = known.get(key(record));
    if (before?.state === 'done' && record.state === 'open') continue;
    known.set(key(record), { ...record, decision: record.decision ?? before?.decision ?? null });
  }
  return [...known.values()].sort((one, other) => other.seq - one.seq).slice(0, MOST_RECORDS);
}

/** One caller may send the same request id twice; the time of arrival tells the two apart. */
export function key(record: RequestRecord): string {
  return `${record.at} ${record.id}`;
}

export type Filter = { text: string; router: string; reason: string; outcome: string };

export const NO_FILTER: Filter = { text: '', router: '', reason: '', outcome: '' };

export function isFiltering(filter: Filter): boolean {
  return Object.values(filter).some(value => value.trim() !== '');
}

/** Every word of the text must be in one of the record's names; the rest must be equal. */
export function filtered(records: RequestRecord[], filter: Filter): RequestRecord[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return records.filter(record => {
    if (filter.router && record.router !== filter.router) return false;
    if (filter.reason && record.reason !== filter.reason) return false;
    if (filter.outcome && (record.outcome ?? 'open') !== filter.outcome) return false;
    const names = [record.id, record.router, record.task, record.reason, record.asked, record.model]
      .concat([record.provider, record.endpoint, record.key, record.code, record.source])
      .concat(record.status === null ? [] : [String(record.status)])
      .filter((name): name is string => name !== null)
      .map(name => name.toLowerCase());
    return words.every(word => names.some(name => name.includes(word)));
  });
}

/** The values that occur, to choose from. */
export function occurring(records: RequestRecord[], field: 'router' | 'reason'): string[] {
  const values = records.map(record => record[field]).filter(value => value !== null);
  return [...new Set(values)].sort();
}
