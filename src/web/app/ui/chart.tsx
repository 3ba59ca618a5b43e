/** uPlot in the page's colors: labelled axes, redrawn when the theme or the width changes. Loaded with the page that draws. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import './chart.css';
import { theme } from './theme';

export type { uPlot };

/** A token of `tokens.css`, as it is in the theme in force. */
export const color = (token: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(token).trim();
/** The color of the n-th of a chart's series, from 0. */
export const seriesColor = (place: number): string => color(`--series-${(place % 8) + 1}`);

/** An axis with its label, in the page's colors. */
export function axis(label: string, more: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    label,
    labelSize: 22,
    labelFont: `12px ${color('--font')}`,
    font: `11px ${color('--font')}`,
    stroke: color('--ink-3'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { stroke: color('--line'), width: 1, size: 4 },
    ...more,
  };
}

type Props = {
  /** What the chart shows, in words with its main figures: read out in its place. */
  description: string;
  height: number;
  data: uPlot.AlignedData;
  /** Made anew when `shape` or the theme changes; colors are to be read in it. */
  options: () => Omit<uPlot.Options, 'width' | 'height'>;
  /** Changes when `options` would give something else, as with other series. */
  shape: string;
  /** Where the cursor stands, null where nowhere. With it the arrow keys move the cursor as the pointer does. */
  onCursor?: (place: number | null) => void;
};

/** Where a key takes the cursor. */
function moved(key: string, place: number | null, last: number): number | null {
  if (key === 'ArrowLeft') return Math.max(0, (place ?? last + 1) - 1);
  if (key === 'ArrowRight') return Math.min(last, (place ?? -1) + 1);
  if (key === 'Home') return 0;
  return key === 'End' ? last : null;
}

export function Chart({ description, height, data, options, shape, onCursor }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(data);
  latest.current = data;
  const mode = theme.value;
  useEffect(() => {
    const host = box.current;
    if (!host) return;
    const chosen = options();
    const hooks = onCursor ? { setCursor: [(at: uPlot) => onCursor(at.cursor.idx ?? null)] } : {};
    const size = { width: host.clientWidth || 300, height };
    const made = new uPlot(
      { ...chosen, ...size, hooks: { ...chosen.hooks, ...hooks } },
      latest.current,
      host,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: host.clientWidth || 300, height }));
    watch.observe(host);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, mode, height]);
  useEffect(() => plot.current?.setData(data), [data]);
  const press = (event: KeyboardEvent) => {
    const made = plot.current;
    if (!made) return;
    if (event.key === 'Escape') made.setCursor({ left: -10, top: -10 });
    const times = made.data[0];
    const place = moved(event.key, made.cursor.idx ?? null, times.length - 1);
    const time = place === null ? undefined : times[place];
    if (time === undefined) return;
    event.preventDefault();
    made.setCursor({ left: made.valToPos(time, 'x'), top: 0 });
  };
  return (
    <div
      class="chart"
      ref={box}
      role="img"
      aria-label={description}
      {...(onCursor ? { tabIndex: 0, onKeyDown: press } : {})}
    />
  );
}
