/**
 * One request to one side: sent, followed while it streams, and completed with the server's own record of it (decision,
 * usage, cost). Times are of this page's clock while an answer grows and the server's once it is whole: a busy browser
 * sees a token later than it came.
 */
import { type Signal, signal } from '@preact/signals';
import {
  ApiError,
  asApiError,
  type Decision,
  errorOf,
  get,
  pause,
  type RequestRecord,
  send,
} from '../../api';
import { eventsOf } from '../../sse';

export type Message = { role: 'system' | 'user' | 'assistant'; content: string };

export type Ask = {
  /** `router:NAME` or a model's name. */
  target: string;
  messages: Message[];
  maxTokens: number | null;
  session: string | null;
};

export type RunState = {
  phase: 'waiting' | 'streaming' | 'done' | 'failed' | 'stopped';
  firstMs: number | null;
  endMs: number | null;
  text: string;
  reasoning: string;
  /** Who answers; a finished answer may have been continued by another. */
  model: string | null;
  provider: string | null;
  task: string | null;
  finish: string | null;
  record: RequestRecord | null;
  decision: Decision | null;
  error: ApiError | null;
};

export type Run = {
  id: string;
  target: string;
  session: string | null;
  startedAt: number;
  state: Signal<RunState>;
  /** Settles when the answer and its record are there; never fails. */
  done: Promise<void>;
  stop: () => void;
};

const START: RunState = {
  phase: 'waiting',
  firstMs: null,
  endMs: null,
  text: '',
  reasoning: '',
  model: null,
  provider: null,
  task: null,
  finish: null,
  record: null,
  decision: null,
  error: null,
};

export const running = (state: RunState): boolean => state.phase === 'waiting' || state.phase === 'streaming';

/** A random name that the server takes as a request id or a session. */
export const randomName = (prefix: string): string =>
  `${prefix}-${Array.from(crypto.getRandomValues(new Uint8Array(9)), byte => byte.toString(36).padStart(2, '0')).join('')}`;

/** Sends `ask`. With `watch` the decision is fetched as soon as it was made, not only at the end. */
export function start(ask: Ask, watch: boolean): Run {
  const stop = new AbortController();
  const run: Run = {
    id: randomName('pg'),
    target: ask.target,
    session: ask.session,
    startedAt: performance.now(),
    state: signal(START),
    done: Promise.resolve(),
    stop: () => stop.abort(),
  };
  run.done = follow(run, ask, watch, stop.signal);
  return run;
}

const set = (run: Run, change: Partial<RunState>): void => {
  run.state.value = { ...run.state.peek(), ...change };
};
const elapsed = (run: Run): number => performance.now() - run.startedAt;

async function follow(run: Run, ask: Ask, watch: boolean, signal: AbortSignal): Promise<void> {
  if (watch) watchDecision(run, signal);
  try {
    const response = await send('/api/chat', {
      method: 'POST',
      signal,
      headers: { 'x-request-id': run.id, ...(ask.session ? { 'x-model-affinity': ask.session } : {}) },
      body: JSON.stringify({
        model: ask.target,
        messages: ask.messages,
        stream: true,
        stream_options: { include_usage: true },
        ...(ask.maxTokens === null ? {} : { max_tokens: ask.maxTokens }),
      }),
    });
    set(run, {
      model: response.headers.get('x-pointsman-model'),
      provider: response.headers.get('x-pointsman-provider'),
      task: response.headers.get('x-model-router-selected-route'),
    });
    if (!response.ok) throw await errorOf(response);
    await readAnswer(run, response, watch ? onFrame : seldom);
    set(run, { phase: 'done', endMs: elapsed(run) });
  } catch (error) {
    const told = asApiError(error);
    const phase = signal.aborted ? 'stopped' : 'failed';
    set(run, { phase, endMs: elapsed(run), error: signal.aborted ? null : withId(told, run.id) });
  }
  await settle(run);
}

const withId = (error: ApiError, id: string): ApiError =>
  error.requestId ? error : new ApiError(error.status, error.code, error.message, error.faults, id);

type Chunk = {
  model?: string;
  choices?: {
    delta?: {
      content?: string | null;
      reasoning_content?: string | null;
      reasoning?: string | null;
      refusal?: string | null;
    };
    finish_reason?: string | null;
  }[];
  error?: { message: string; code?: string; type?: string };
};

/** Gathers what streams in; the page is told when `later` says so, however many pieces come. */
async function readAnswer(run: Run, response: Response, later: (work: () => void) => void): Promise<void> {
  let text = '';
  let reasoning = '';
  let due = false;
  const tell = () => {
    due = false;
    set(run, { text, reasoning });
  };
  let ended = false;
  for await (const { data } of eventsOf(response)) {
    if (data === '[DONE]') {
      ended = true;
      continue;
    }
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) {
      tell();
      throw new ApiError(
        response.status,
        chunk.error.code ?? chunk.error.type ?? 'upstream_error',
        chunk.error.message,
      );
    }
    const choice = chunk.choices?.[0];
    if (chunk.model && chunk.model !== run.state.peek().model) set(run, { model: chunk.model });
    if (choice?.finish_reason) set(run, { finish: choice.finish_reason });
    const said = choice?.delta?.content ?? choice?.delta?.refusal ?? '';
    const thought = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? '';
    if (!said && !thought) continue;
    text += said;
    reasoning += thought;
    if (run.state.peek().firstMs === null) set(run, { phase: 'streaming', firstMs: elapsed(run) });
    if (!due) {
      due = true;
      // Drawing a very long answer takes longer than a frame.
      (text.length < 16_000 ? later : seldom)(tell);
    }
  }
  tell();
  if (!ended) throw new ApiError(response.status, 'incomplete', 'The answer broke off before its end.');
}

/** Among many prompts hardly any answer is looked at while it grows. */
const seldom = (work: () => void): void => {
  setTimeout(work, 500);
};

/** The next frame; a page that is not shown gets none, so a timer stands by. */
function onFrame(work: () => void): void {
  let worked = false;
  const once = () => {
    if (worked) return;
    worked = true;
    work();
  };
  requestAnimationFrame(once);
  setTimeout(once, 200);
}

const record = (run: Run): Promise<RequestRecord | null> =>
  get<RequestRecord>(`/api/requests/${run.id}`).catch(() => null);

/** The decision is made long before an answer begins: ask for it until it is there. */
async function watchDecision(run: Run, signal: AbortSignal): Promise<void> {
  for (let wait = 60; running(run.state.peek()) && !signal.aborted; wait = Math.min(wait * 1.5, 1000)) {
    await pause(wait, signal);
    const known = await record(run);
    if (known?.decision && running(run.state.peek())) {
      set(run, { decision: known.decision, record: known });
      return;
    }
  }
}

/** The record is written when the server has closed its books on the request, a moment after the last byte. */
async function settle(run: Run): Promise<void> {
  for (const wait of [0, 40, 120, 300, 800, 1500]) {
    await pause(wait);
    const known = await record(run);
    if (known?.state === 'done') {
      const { phase, firstMs, endMs, decision } = run.state.peek();
      const whole = phase === 'done';
      set(run, {
        record: known,
        decision: known.decision ?? decision,
        firstMs: whole ? (known.ttft_ms ?? firstMs) : firstMs,
        endMs: whole ? (known.duration_ms ?? endMs) : endMs,
      });
      return;
    }
  }
}

/** Tokens a second from the first content to the end; from the server's count once it is known, else estimated. */
export function speed(state: RunState, nowMs: number): { perSecond: number; estimated: boolean } | null {
  if (state.firstMs === null) return null;
  const seconds = ((state.endMs ?? nowMs) - state.firstMs) / 1000;
  if (seconds < 0.05) return null;
  const counted = state.record?.state === 'done' ? state.record.usage?.output : undefined;
  const tokens = counted ?? (state.text.length + state.reasoning.length) / 4;
  return { perSecond: tokens / seconds, estimated: counted === undefined };
}
