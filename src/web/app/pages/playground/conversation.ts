/** The conversation with both sides. It lives as long as the page is open, also while another page is looked at. */
import { computed, signal } from '@preact/signals';
import { ApiError, asApiError, request } from '../../api';
import { toast } from '../../ui/toast';
import { type Message, type Run, randomName, running, start } from './run';
import { chosen, isRouter, keepsSession, maxTokens, newSession, type SideName, session } from './settings';

export type Turn = { id: string; prompt: string } & Record<SideName, Run>;

export const turns = signal<Turn[]>([]);
export const system = signal('');

export const busy = computed(() => {
  const last = turns.value.at(-1);
  return last !== undefined && (running(last.a.state.value) || running(last.b.state.value));
});

/** What a side has been told and has said; a turn that it did not answer is left out. */
function history(side: SideName): Message[] {
  const told: Message[] = system.peek().trim() ? [{ role: 'system', content: system.peek().trim() }] : [];
  for (const turn of turns.peek()) {
    const { text } = turn[side].state.peek();
    if (text) told.push({ role: 'user', content: turn.prompt }, { role: 'assistant', content: text });
  }
  return told;
}

/** Pins belong to a router and a session: with one router on both sides, each needs a session of its own. */
const sessionOf = (side: SideName): string | null =>
  keepsSession.peek() ? `${session.peek()}-${side}` : null;

export function ask(prompt: string): void {
  const begin = (side: SideName) =>
    start(
      {
        target: chosen.peek()[side],
        messages: [...history(side), { role: 'user', content: prompt }],
        maxTokens: maxTokens.peek(),
        session: isRouter(chosen.peek()[side]) ? sessionOf(side) : null,
      },
      true,
    );
  turns.value = [...turns.peek(), { id: randomName('turn'), prompt, a: begin('a'), b: begin('b') }];
}

export function stop(): void {
  const last = turns.peek().at(-1);
  last?.a.stop();
  last?.b.stop();
}

export function clear(): void {
  stop();
  turns.value = [];
  newSession();
}

export async function dropPin(run: Run): Promise<void> {
  const router = run.target.slice('router:'.length);
  const query = new URLSearchParams({ router, session: run.session ?? '' });
  try {
    await request('DELETE', `/api/pins?${query}`);
    toast('The pin is dropped: the next prompt is decided anew.', 'good');
  } catch (error) {
    const told = asApiError(error);
    const gone = told instanceof ApiError && told.status === 404;
    toast(gone ? 'There is no pin: the next prompt is decided anew.' : told.message, gone ? 'accent' : 'bad');
  }
}
