/** One clock for everything that moves: it ticks while something runs, and rests otherwise. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

export const now = signal(performance.now());
let users = 0;
let last = 0;

const STILL = matchMedia('(prefers-reduced-motion: reduce)');

function tick(at: number): void {
  if (users === 0) return;
  // A strip that grows smoothly is motion too: every half second is enough for who wants none.
  if (at - last >= (STILL.matches ? 500 : 33)) {
    last = at;
    now.value = performance.now();
  }
  requestAnimationFrame(tick);
}

/** Keeps the clock going while `on`. */
export function useClock(on: boolean): number {
  useEffect(() => {
    if (!on) return;
    users++;
    if (users === 1) requestAnimationFrame(tick);
    return () => {
      users--;
    };
  }, [on]);
  return now.value;
}
