/** Axes and quantiles. */

/** The largest power-of-ten step that gives two to six marks. */
export function ticks(span: number): { step: number; end: number } {
  const size = 10 ** Math.floor(Math.log10(Math.max(span, 1)));
  const step =
    [0.2, 0.25, 0.5, 1, 2, 2.5, 5].map(one => one * size).find(one => span / one <= 5) ?? size * 10;
  return { step, end: Math.ceil(span / step - 1e-9) * step };
}

export type Axis = { log: boolean; marks: number[]; at: (value: number) => number };

/** From zero, or by powers of ten where the values lie far apart; `at` gives a share of the axis. */
export function axis(values: number[], least: number): Axis {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (low > 0 && high / low > 15) {
    const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high) - 1e-9)];
    const marks = Array.from({ length: to - from + 1 }, (_, place) => 10 ** (from + place));
    return { log: true, marks, at: value => (Math.log10(Math.max(value, 10 ** from)) - from) / (to - from) };
  }
  const scale = high > 0 && Number.isFinite(high) ? high : least;
  // `ticks` thinks in whole numbers; a cost is a small part of one.
  const unit = 10 ** Math.floor(Math.log10(scale) - 2);
  const { step, end } = ticks(scale / unit);
  const marks = Array.from({ length: Math.round(end / step) + 1 }, (_, place) => place * step * unit);
  return { log: false, marks, at: value => value / (end * unit) };
}

/** The value that this share of the sorted values does not exceed. */
export function quantile(values: number[], share: number): number | null {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? null;
}
