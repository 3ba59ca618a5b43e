/** Both sides on one time axis: classify, wait, first content, generation. */
import { ms } from '../../ui/format';
import { useClock } from './clock';
import { type Run, type RunState, running, speed } from './run';
import { ticks } from './scale';
import { type SideName, shown } from './settings';

export const classifyMs = (state: RunState): number | null => {
  const timings = state.decision?.timings_us;
  if (!timings || state.decision?.reason === 'direct') return null;
  return ((timings.read ?? 0) + (timings.classify ?? 0) + (timings.rank ?? 0)) / 1000;
};

type Lane = { side: SideName; run: Run; state: RunState };

export function Race({ lanes }: { lanes: Lane[] }) {
  const now = useClock(lanes.some(lane => running(lane.state)));
  const reached = lanes.map(({ run, state }) => state.endMs ?? Math.max(0, now - run.startedAt));
  const { step, end } = ticks(Math.max(400, ...reached));
  const marks = Array.from({ length: Math.round(end / step) + 1 }, (_, place) => place * step);
  return (
    <div role="group" class="race" aria-label="Race: both sides on one time axis">
      {lanes.map((lane, place) => (
        <LaneRow key={lane.side} lane={lane} reached={reached[place] ?? 0} end={end} />
      ))}
      <div class="axis" aria-hidden="true">
        <span class="name" />
        <div class="track">
          {marks.map(mark => (
            <span key={mark} style={{ left: `${(mark / end) * 100}%` }}>
              {mark === 0 ? '0' : ms(mark)}
            </span>
          ))}
        </div>
      </div>
      <div class="legend small" aria-hidden="true">
        <span>
          <i class="k-classify" /> classify
        </span>
        <span>
          <i class="k-wait" /> wait
        </span>
        <span>
          <i class="k-first" /> first content
        </span>
        <span>
          <i class="k-answer" /> generation
        </span>
        <span class="push">times at the server, once an answer is whole</span>
      </div>
    </div>
  );
}

function LaneRow({ lane, reached, end }: { lane: Lane; reached: number; end: number }) {
  const { side, run, state } = lane;
  const at = (value: number) => `${(value / end) * 100}%`;
  const classify = classifyMs(state);
  const first = state.firstMs;
  const waited = first ?? reached;
  return (
    <div class={`lane ${side}`}>
      <div class="name">
        <b>{side.toUpperCase()}</b> <span class="clip">{state.model ?? shown(run.target)}</span>
      </div>
      <div class="track" aria-hidden="true">
        <i class={`k-wait ${state.phase}`} style={{ left: 0, width: at(waited) }} />
        {classify !== null && (
          <i class="k-classify" style={{ left: 0, width: at(Math.min(classify, waited)) }} />
        )}
        {first !== null && (
          <i class={`k-answer ${state.phase}`} style={{ left: at(first), width: at(reached - first) }} />
        )}
        {first !== null && <i class="k-first" style={{ left: at(first) }} />}
      </div>
      <p class="told small">{told(state, reached)}</p>
    </div>
  );
}

function told(state: RunState, reached: number): string {
  const rate = speed(state, reached);
  const words = [
    ...(classifyMs(state) !== null && state.decision?.reason !== 'direct'
      ? [`decided in ${ms(classifyMs(state))}`]
      : []),
    state.firstMs === null
      ? state.phase === 'waiting'
        ? `waiting ${ms(Math.round(reached / 100) * 100)}`
        : ''
      : `first content ${ms(state.firstMs)}`,
    rate ? `${rate.estimated ? '≈ ' : ''}${Math.round(rate.perSecond)} tokens/s` : '',
    state.phase === 'done' ? `total ${ms(state.endMs)}` : '',
    state.phase === 'failed' ? `failed after ${ms(state.endMs)}` : '',
    state.phase === 'stopped' ? `stopped after ${ms(state.endMs)}` : '',
  ];
  return words.filter(word => word !== '').join(' · ');
}
