/**
 * Lines over time, with the values at the cursor beside their names. The canvas is a picture to those who cannot see
 * it, so the chart says in words what it shows, and the values that the arrow keys reach are read out.
 */
import { useMemo, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { axis, Chart, color } from '../../ui/chart';
import { clock, UNKNOWN } from '../../ui/format';
import { joined } from './figures';

export type Line = {
  label: string;
  /** The token of its color, such as `--series-1`. */
  token: string;
  values: (number | null)[];
  /** Stepped and filled to the axis; else a point for each value, joined. */
  area?: boolean;
};

type Props = {
  title: string;
  class: string;
  note: string;
  axisLabel: string;
  time: number[];
  lines: Line[];
  format: (value: number) => string;
  /** The same without its unit, which the axis names. */
  tick: (value: number) => string;
  empty: string;
  /** Where the axis ends while there is nothing to show. */
  most: number;
};

const HEIGHT = 210;

export function TimeChart(props: Props) {
  const { title, note, time, lines, format, empty } = props;
  const [cursor, setCursor] = useState<number | null>(null);
  const place = cursor !== null && cursor < time.length ? cursor : null;
  const when = place === null ? null : clock((time[place] ?? 0) * 1000);
  const data = useMemo(
    (): uPlot.AlignedData => [time, ...lines.map(({ values }) => joined(values))],
    [time, lines],
  );
  const hasValues = lines.some(({ values }) => values.some(value => value !== null && value !== 0));
  const said = lines.map(line => `${line.label} ${valueAt(line.values, place, format)}`).join(', ');
  return (
    <section class={`card time-chart ${props.class}`} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span class="faint small">{note}</span>
      </header>
      <div class="plot">
        <Chart
          description={inWords(props)}
          height={HEIGHT}
          data={data}
          options={() => options(props)}
          shape={lines.map(({ label, token }) => `${label} ${token}`).join('|')}
          onCursor={setCursor}
        />
        {!hasValues && <p class="nothing">{empty}</p>}
      </div>
      <ul class="legend">
        <li class="when faint">{when ?? 'latest'}</li>
        {lines.map(line => (
          <li key={line.label}>
            <i class="swatch" style={{ background: `var(${line.token})` }} />
            {line.label} <b>{valueAt(line.values, place, format)}</b>
          </li>
        ))}
      </ul>
      <span class="unseen" aria-live="polite">
        {when ? `${when}: ${said}` : ''}
      </span>
    </section>
  );
}

/** The value there; without a place, the last that is known. */
function valueAt(values: (number | null)[], place: number | null, format: Props['format']): string {
  const value = place === null ? values.findLast(one => one !== null) : values[place];
  return value == null ? UNKNOWN : format(value);
}

function inWords({ title, note, lines, format }: Props): string {
  const said = lines.map(({ label, values }) => {
    const known = values.filter(value => value !== null);
    if (known.length === 0) return `${label}: nothing`;
    const range = `${format(Math.min(...known))} to ${format(Math.max(...known))}`;
    return `${label}: ${range}, last ${format(known.at(-1) ?? 0)}`;
  });
  return `${title}, ${note}. ${said.join('. ') || 'No data yet'}. The arrow keys read single values.`;
}

function options({ axisLabel, lines, tick, most }: Props): Omit<uPlot.Options, 'width' | 'height'> {
  return {
    padding: [10, 26, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.08 : most] } },
    axes: [
      axis('', {
        labelSize: 0,
        size: 26,
        space: 70,
        values: (_plot, ticks) => ticks.map(seconds => shortClock(seconds, ticks)),
      }),
      axis(axisLabel, { size: 44, space: 34, values: (_plot, ticks) => ticks.map(tick) }),
    ],
    series: [{}, ...lines.map(series)],
  };
}

function series({ label, token, area }: Line): uPlot.Series {
  const stroke = color(token);
  if (!area) {
    return {
      label,
      stroke,
      width: 1.5,
      points: { show: true, size: 4, width: 0, fill: stroke },
    };
  }
  const paths = uPlot.paths.stepped?.({ align: 1 });
  const fill = `color-mix(in srgb, ${stroke} 18%, transparent)`;
  return { label, stroke, width: 1.25, fill, points: { show: false }, ...(paths ? { paths } : {}) };
}

/** Seconds only where the ticks are closer than a minute. */
function shortClock(seconds: number, ticks: number[]): string {
  const [first = 0, second = 60] = ticks;
  const text = clock(seconds * 1000);
  return second - first < 60 ? text : text.slice(0, 5);
}
