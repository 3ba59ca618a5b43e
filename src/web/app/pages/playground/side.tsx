/** One side of a turn: who answered, what it cost, the answer, and how it was decided. */
import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { catalog, type Usage } from '../../api';
import { CostSplit } from '../../ui/cost';
import { DecisionCard, ReasonTag } from '../../ui/decision';
import { change, count, money, ms } from '../../ui/format';
import { Markdown } from '../../ui/markdown';
import { ErrorNote, Figure, Loading, Tag } from '../../ui/parts';
import { advice } from './advice';
import { dropPin } from './conversation';
import { costAt } from './elsewhere';
import { KeepExample } from './example';
import { type Run, type RunState, running } from './run';
import { isRouter, type SideName, shown } from './settings';

const split = (usage: Usage) => ({
  input: Math.max(0, usage.input - usage.cache_read - usage.cache_write),
  cache_read: usage.cache_read,
  cache_write: usage.cache_write,
  output: usage.output,
});

type Props = {
  side: SideName;
  run: Run;
  state: RunState;
  prompt: string;
  /** The dearer side's cost: both bars are drawn on one scale. */
  whole: number | undefined;
  /** Leaves out who it is and what it took. */
  hidden?: string | undefined;
};

export function Side({ side, run, state, prompt, whole, hidden }: Props) {
  const title = hidden ?? `${side.toUpperCase()}: ${shown(run.target)}`;
  return (
    <div role="group" class={`side card ${hidden ? '' : side}`} aria-label={title}>
      <header>
        {!hidden && (
          <span class="badge" aria-hidden="true">
            {side.toUpperCase()}
          </span>
        )}
        {hidden ? <h3>{hidden}</h3> : <Title run={run} state={state} />}
      </header>
      <div class="body stack">
        {!hidden && <Figures run={run} state={state} whole={whole} />}
        <Answer state={state} run={run} />
        {!hidden && <Below run={run} state={state} prompt={prompt} />}
      </div>
    </div>
  );
}

function Title({ run, state }: { run: Run; state: RunState }) {
  const reason = state.decision?.reason;
  return (
    <>
      <h3 class="row">
        <span class="faint">{isRouter(run.target) ? 'router' : 'model'}</span>
        <span>{shown(run.target)}</span>
        {state.model && isRouter(run.target) && (
          <>
            <span class="faint" aria-hidden="true">
              →
            </span>
            <span class="unseen">chose</span>
            <span class="chosen" data-model={state.model}>
              {state.model}
            </span>
          </>
        )}
      </h3>
      <span class="row push">
        {state.task && <Tag title="The task that matched">{state.task}</Tag>}
        {reason && reason !== 'direct' && <ReasonTag reason={reason} />}
      </span>
    </>
  );
}

/** The router's other candidates, at the tokens that were really used. */
function Elsewhere({ state }: { state: RunState }) {
  const usage = state.record?.usage;
  const own = state.record?.cost?.total;
  if (!usage || own == null) return null;
  const others = (state.decision?.candidates ?? [])
    .filter(one => one.rank !== null && one.model !== state.model)
    .map(one => ({
      name: one.model,
      cost: costAt(
        catalog.value?.models.find(model => model.name === one.model),
        usage,
      ),
    }))
    .filter(one => one.cost !== null);
  if (others.length === 0) return null;
  return (
    <p class="elsewhere">
      <span>The same tokens would have cost:</span>
      {others.map(one => (
        <span key={one.name}>
          {one.name} <b>{money(one.cost)}</b> ({change(one.cost, own)})
        </span>
      ))}
    </p>
  );
}

function Figures({ run, state, whole }: { run: Run; state: RunState; whole: number | undefined }) {
  const { record } = state;
  const over = state.phase === 'done';
  const tokens = record?.usage ? split(record.usage) : null;
  const unpriced = over && record?.state === 'done' && record.cost === null;
  return (
    <div class="side-figures">
      <div class="figures">
        <Figure
          name="Cost"
          value={money(record?.cost?.total)}
          note={unpriced ? 'price not known' : undefined}
        />
        <Figure name="First token" value={ms(state.firstMs)} />
        <Figure name="Total" value={ms(state.endMs)} />
        <Figure
          name="Output tokens"
          value={count(record?.usage?.output)}
          note={record?.usage?.estimated ? 'estimated' : undefined}
        />
      </div>
      <CostSplit cost={record?.cost ?? null} tokens={tokens} whole={whole} />
      {isRouter(run.target) && <Elsewhere state={state} />}
    </div>
  );
}

function Answer({ state, run }: { state: RunState; run: Run }) {
  const open = useSignal(false);
  const long = useSignal(false);
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (element && !open.peek()) long.value = element.scrollHeight > element.clientHeight + 4;
  }, [state.text]);
  return (
    <div class="answer" aria-busy={running(state)} data-phase={state.phase}>
      {state.phase === 'waiting' && <Loading lines={3} what={`Waiting for ${shown(run.target)}`} />}
      {state.reasoning && (
        <details class="thinking">
          <summary class="small muted">Reasoning ({count(state.reasoning.length)} characters)</summary>
          <p class="small muted">{state.reasoning}</p>
        </details>
      )}
      {state.text && (
        <div ref={box} class={`text ${open.value ? 'open' : ''} ${long.value && !open.value ? 'cut' : ''}`}>
          <Markdown text={state.text} growing={running(state)} />
        </div>
      )}
      {long.value && (
        <button
          type="button"
          class="button small quiet"
          aria-expanded={open.value}
          onClick={() => (open.value = !open.value)}
        >
          {open.value ? 'Show less' : 'Show all of it'}
        </button>
      )}
      {state.phase === 'done' && !state.text && !state.reasoning && (
        <p class="muted">An answer without text.</p>
      )}
      {state.phase === 'stopped' && (
        <p class="note warn small">Stopped by you. What was written until then is billed.</p>
      )}
      {state.finish === 'length' && <p class="note warn small">Cut at the token limit.</p>}
      {state.finish === 'content_filter' && (
        <p class="note warn small">Ended by the provider's content filter.</p>
      )}
      {state.error && <ErrorNote error={state.error} advice={advice(state.error.code, state.error.status)} />}
    </div>
  );
}

function Below({ run, state, prompt }: { run: Run; state: RunState; prompt: string }) {
  const { decision } = state;
  const attempts = state.record?.attempts ?? 0;
  return (
    <>
      {decision ? (
        <div role="group" class="decision-box" aria-label="Decision">
          <h4 class="unseen">Decision</h4>
          <DecisionCard
            decision={decision}
            answered={state.phase === 'failed' && !state.text ? null : state.model}
            onDropPin={run.session && !running(state) ? () => dropPin(run) : undefined}
          />
        </div>
      ) : (
        running(state) && <Loading lines={4} what="Waiting for the decision" />
      )}
      {decision && !running(state) && (
        <KeepExample target={run.target} text={prompt} matched={decision.task} />
      )}
      <p class="small faint">
        {attempts > 1 && `${attempts} attempts. `}Request <code>{run.id}</code>
      </p>
    </>
  );
}
