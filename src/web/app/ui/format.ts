/** Figures as people read them. What is not known is a dash, never a zero. */

export const UNKNOWN = '–';
type Maybe = number | null | undefined;
const known = (value: Maybe): value is number => value != null && Number.isFinite(value);

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Dollars with three significant figures below a cent, as amounts for one request are tiny: $0.00042. */
export function money(usd: Maybe): string {
  if (!known(usd)) return UNKNOWN;
  const size = Math.abs(usd);
  const sign = usd < 0 ? '−' : '';
  if (size === 0) return '$0';
  if (size < 1e-9) return `${sign}<$0.000000001`;
  if (size >= 1000) return `${sign}$${grouped.format(size)}`;
  if (size >= 1) return `${sign}$${size.toFixed(2)}`;
  const places = Math.min(9, Math.max(2, 2 - Math.floor(Math.log10(size))));
  return `${sign}$${size.toFixed(places).replace(/(\.\d\d\d*?)0+$/, '$1')}`;
}

/** 38 ms, 1.24 s, 2 min 05 s. */
export function ms(value: Maybe): string {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  const sign = value < 0 ? '−' : '';
  if (size < 10 && size !== Math.round(size)) return `${sign}${size.toFixed(1)} ms`;
  if (size < 1000) return `${sign}${Math.round(size)} ms`;
  if (size < 60_000) return `${sign}${(size / 1000).toFixed(size < 10_000 ? 2 : 1)} s`;
  return `${sign}${duration(size / 1000)}`;
}

/** Of a share between 0 and 1. */
export function percent(share: Maybe, places = 0): string {
  if (!known(share)) return UNKNOWN;
  if (share > 0 && share * 100 < 0.5 * 10 ** -places) return `<${(10 ** -places).toFixed(places)} %`;
  return `${(share * 100).toFixed(places)} %`;
}

export function count(value: Maybe): string {
  if (!known(value)) return UNKNOWN;
  return grouped.format(value);
}

/** 1 request, 2 requests. */
export const counted = (value: number, one: string): string =>
  `${count(value)} ${one}${value === 1 ? '' : 's'}`;

/** 1.2k, 3.4M: for axes and narrow places. */
export function compact(value: Maybe): string {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size < 1000) return String(Math.round(value * 100) / 100);
  const [scale, unit] = size < 1e6 ? [1e3, 'k'] : size < 1e9 ? [1e6, 'M'] : [1e9, 'B'];
  return `${(value / scale).toFixed(size / scale < 10 ? 1 : 0).replace(/\.0$/, '')}${unit}`;
}

/** 42 s, 5 min 03 s, 2 h 10 min, 3 d 4 h. */
export function duration(seconds: Maybe): string {
  if (!known(seconds)) return UNKNOWN;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** −62 %, +40 %: of `value` against `base`. */
export function change(value: Maybe, base: Maybe): string {
  if (!known(value) || !known(base) || base === 0) return UNKNOWN;
  const share = (value / base - 1) * 100;
  if (Math.abs(share) < 0.5) return '±0 %';
  return share >= 900 ? `×${(value / base).toFixed(0)}` : `${signOf(share)}${Math.abs(share).toFixed(0)} %`;
}

/** +40 ms, −1.2 s. */
export function msChange(value: Maybe, base: Maybe): string {
  if (!known(value) || !known(base)) return UNKNOWN;
  const by = value - base;
  if (Math.abs(by) < 0.5) return '±0 ms';
  return `${signOf(by)}${ms(Math.abs(Math.round(by)))}`;
}

const signOf = (value: number) => (value < 0 ? '−' : '+');

const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
});

/** The time of day here, of an RFC 3339 text or Unix milliseconds. */
export function clock(at: string | number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? UNKNOWN : clockFormat.format(date);
}

/** What a decision's reason means, for people. */
export const REASONS: Record<string, { label: string; meaning: string }> = {
  matched: { label: 'matched', meaning: 'A task matched with enough certainty.' },
  no_match: { label: 'no match', meaning: 'No task fits well enough, so the fallback models answer.' },
  pinned: { label: 'pinned', meaning: 'This session stays with the model that it began with.' },
  continued: { label: 'continued', meaning: 'A tool loop goes on with the model that began it.' },
  unclassified: {
    label: 'unclassified',
    meaning: 'The classifier was late, down or absent, so the fallback models answer.',
  },
  direct: { label: 'direct', meaning: 'The request named its model: nothing was decided.' },
};
