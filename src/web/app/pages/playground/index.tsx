/** The playground: one prompt to two sides at once, or many prompts to both. */
import './playground.css';
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { catalog, catalogError, loadCatalog } from '../../api';
import { fragment } from '../../nav';
import { Empty, ErrorNote, Loading } from '../../ui/parts';
import { Composer, EXAMPLES } from './composer';
import { ask, turns } from './conversation';
import { inWords } from './difference';
import { Many } from './many';
import { running } from './run';
import { shown, view } from './settings';
import { Setup } from './setup';
import { TurnView } from './turn';

export default function Playground() {
  useEffect(() => {
    // Routers may have changed on the other page.
    loadCatalog();
  }, []);
  const known = catalog.value;
  return (
    <div class="playground">
      <div class="page-head">
        <h1>Playground</h1>
        <p class="wide-only">One prompt, two ways to an answer: which model, why, at what cost, how soon.</p>
        <nav class="views push" aria-label="Playground">
          <View name="one" text="One prompt" />
          <View name="many" text="Many prompts" />
        </nav>
      </div>
      {!known &&
        (catalogError.value ? (
          <ErrorNote error={catalogError.value} retry={loadCatalog} />
        ) : (
          <Loading lines={4} what="Loading the catalog" />
        ))}
      {known && <Setup />}
      {known && (view.value === 'one' ? <One /> : <Many />)}
    </div>
  );
}

function View({ name, text }: { name: 'one' | 'many'; text: string }) {
  const next = new URLSearchParams(fragment.value);
  if (name === 'many') next.set('view', name);
  else next.delete('view');
  return (
    <a href={`/playground#${next}`} aria-current={view.value === name ? 'true' : undefined}>
      {text}
    </a>
  );
}

function One() {
  return (
    <>
      {turns.value.length === 0 && <Start />}
      {turns.value.map((turn, place) => (
        <TurnView key={turn.id} turn={turn} number={place + 1} last={place === turns.value.length - 1} />
      ))}
      <Composer />
      <Told />
    </>
  );
}

function Start() {
  return (
    <Empty title="Ask both sides the same">
      <p>
        Both answers stream side by side, on one clock. Under a router's answer stands how it decided: every
        task with its probability, every candidate with its expected cost and start.
      </p>
      <div class="examples row">
        {EXAMPLES.map(example => (
          <button key={example} type="button" class="button" onClick={() => ask(example)}>
            <span class="clip">{example}</span>
          </button>
        ))}
      </div>
      <p class="small faint">
        Nothing that is typed here is kept or logged; the address holds the settings alone.
      </p>
    </Empty>
  );
}

/** What happens, for those who hear the page: who began, who ended, and the difference; not every word. */
function Told() {
  const last = turns.value.at(-1);
  const said = useSignal('');
  const [a, b] = [last?.a.state.value, last?.b.state.value];
  const step = `${last?.id} ${a?.phase} ${b?.phase} ${a?.record?.state} ${b?.record?.state}`;
  useEffect(() => {
    if (!last || !a || !b) said.value = '';
    else if (running(a) || running(b))
      said.value = a.phase === 'waiting' && b.phase === 'waiting' ? 'Sent to both.' : said.peek();
    else {
      const end = (side: 'a' | 'b') => {
        const state = side === 'a' ? a : b;
        const name = state.model ?? shown(last[side].target);
        return state.phase === 'done'
          ? `${side.toUpperCase()}, ${name}, has answered.`
          : `${side.toUpperCase()}, ${name}: ${state.error?.message ?? 'stopped'}.`;
      };
      said.value = `${end('a')} ${end('b')} A against B: ${inWords(a, b)}.`;
    }
  }, [step]);
  return (
    <p class="unseen" role="status">
      {said.value}
    </p>
  );
}
