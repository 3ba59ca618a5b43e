/** Cost against time to the first token: a dot for each answer, a line between the two of the prompt that is looked at. */
import { useSignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { money, ms } from '../../../ui/format';
import { axis } from '../scale';
import { SIDES, type SideName } from '../settings';
import { type Batch, type Row, stateOf } from './batch';

type Dot = { row: Row; side: SideName; first: number; cost: number };

const [HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [360, 70, 42, 10, 26];

export function Scatter({
  batch,
  chosen,
  onChoose,
  hideSides,
}: {
  batch: Batch;
  chosen: number;
  onChoose: (number: number) => void;
  hideSides: (row: Row) => boolean;
}) {
  const dots: Dot[] = batch.rows.flatMap(row =>
    SIDES.flatMap(side => {
      const state = stateOf(row, side);
      const first = state?.firstMs;
      const cost = state?.record?.cost?.total;
      return state?.phase === 'done' && first != null && cost != null ? [{ row, side, first, cost }] : [];
    }),
  );
  const box = useRef<HTMLElement>(null);
  const width = useWidth(box, 640);
  const across = axis(
    dots.map(dot => dot.first),
    1000,
  );
  const up = axis(
    dots.map(dot => dot.cost),
    0.01,
  );
  const x = (value: number) => LEFT + across.at(value) * (width - LEFT - RIGHT);
  const y = (value: number) => HEIGHT - BOTTOM - up.at(value) * (HEIGHT - BOTTOM - TOP);
  const pair = dots.filter(dot => dot.row.number === chosen && !hideSides(dot.row));
  return (
    <figure class="scatter" ref={box}>
      <svg
        viewBox={`0 0 ${width} ${HEIGHT}`}
        role="img"
        aria-label={`Cost against time to the first token, ${dots.length} answers; the figures are in the tables`}
      >
        {across.marks.map((mark, place) => (
          <g key={mark}>
            <line class="grid" x1={x(mark)} x2={x(mark)} y1={TOP} y2={HEIGHT - BOTTOM} />
            <text x={x(mark)} y={HEIGHT - BOTTOM + 15} text-anchor="middle">
              {width < 420 && place % 2 === 1 ? '' : mark === 0 ? '0' : ms(mark)}
            </text>
          </g>
        ))}
        {up.marks.map(mark => (
          <g key={mark}>
            <line class="grid" x1={LEFT} x2={width - RIGHT} y1={y(mark)} y2={y(mark)} />
            <text x={LEFT - 6} y={y(mark) + 4} text-anchor="end">
              {money(mark)}
            </text>
          </g>
        ))}
        <text class="title" x={(LEFT + width - RIGHT) / 2} y={HEIGHT - 6} text-anchor="middle">
          time to first token{across.log ? ' (log)' : ''}
        </text>
        <text
          class="title"
          transform={`translate(12 ${(HEIGHT - BOTTOM + TOP) / 2}) rotate(-90)`}
          text-anchor="middle"
        >
          cost{up.log ? ' (log)' : ''}
        </text>
        {pair.length === 2 && pair[0] && pair[1] && (
          <line
            class="pair"
            x1={x(pair[0].first)}
            y1={y(pair[0].cost)}
            x2={x(pair[1].first)}
            y2={y(pair[1].cost)}
          />
        )}
        {dots.map(dot => (
          <Mark
            key={`${dot.row.number}${dot.side}`}
            dot={dot}
            x={x(dot.first)}
            y={y(dot.cost)}
            chosen={dot.row.number === chosen && !hideSides(dot.row)}
            onChoose={() => onChoose(dot.row.number)}
          />
        ))}
      </svg>
      <figcaption class="row small muted">
        <span>
          <i class="dot a" /> A
        </span>
        <span>
          <i class="dot b" /> B
        </span>
        <span>filled: preferred by vote; ring: not preferred; pale: no vote</span>
      </figcaption>
    </figure>
  );
}

/** The element's width now: a drawing in its own pixels keeps its texts readable however narrow it gets. */
function useWidth(of: RefObject<HTMLElement | null>, first: number): number {
  const width = useSignal(first);
  useEffect(() => {
    if (!of.current) return;
    const watch = new ResizeObserver(([entry]) => {
      if (entry) width.value = Math.max(240, Math.round(entry.contentRect.width));
    });
    watch.observe(of.current);
    return () => watch.disconnect();
  }, []);
  return width.value;
}

/** A round, B square, so that the side can be told without color. */
function Mark({
  dot,
  x,
  y,
  chosen,
  onChoose,
}: {
  dot: Dot;
  x: number;
  y: number;
  chosen: boolean;
  onChoose: () => void;
}) {
  const vote = dot.row.vote.value;
  const kind = vote === null || vote === 'tie' ? 'open' : vote === dot.side ? 'won' : 'lost';
  const size = chosen ? 7 : 5;
  const shared = { class: `mark ${dot.side} ${kind} ${chosen ? 'chosen' : ''}`, onClick: onChoose };
  const title = (
    <title>
      {dot.side.toUpperCase()} · {dot.row.number}. {dot.row.prompt.text.slice(0, 80)} · {ms(dot.first)} ·{' '}
      {money(dot.cost)}
    </title>
  );
  return dot.side === 'a' ? (
    <circle {...shared} cx={x} cy={y} r={size}>
      {title}
    </circle>
  ) : (
    <rect {...shared} x={x - size} y={y - size} width={size * 2} height={size * 2} rx="1.5">
      {title}
    </rect>
  );
}
