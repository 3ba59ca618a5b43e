/** One prompt and both sides' way to an answer. */
import { useEffect, useRef } from 'preact/hooks';
import type { Turn } from './conversation';
import { Difference } from './difference';
import { Race } from './race';
import { Side } from './side';

export function TurnView({ turn, number, last }: { turn: Turn; number: number; last: boolean }) {
  const [a, b] = [turn.a.state.value, turn.b.state.value];
  const whole = Math.max(a.record?.cost?.total ?? 0, b.record?.cost?.total ?? 0) || undefined;
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    if (last && number > 1) box.current?.scrollIntoView({ block: 'start', behavior: 'smooth' });
  }, []);
  return (
    <article class="turn" ref={box} aria-label={`Turn ${number}`}>
      <div class="prompt">
        <h2 class="label">Prompt {number}</h2>
        <p>{turn.prompt}</p>
      </div>
      <Race
        lanes={[
          { side: 'a', run: turn.a, state: a },
          { side: 'b', run: turn.b, state: b },
        ]}
      />
      <div class="versus">
        <Side side="a" run={turn.a} state={a} prompt={turn.prompt} whole={whole} />
        <Difference a={a} b={b} />
        <Side side="b" run={turn.b} state={b} prompt={turn.prompt} whole={whole} />
      </div>
    </article>
  );
}
