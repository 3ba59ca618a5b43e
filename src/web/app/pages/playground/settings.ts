/** The view's settings: all of them are in the address's fragment, so that a view can be sent to somebody. Nothing typed is. */
import { computed, signal } from '@preact/signals';
import { type Catalog, catalog } from '../../api';
import { fragment, setFragment } from '../../nav';
import { randomName } from './run';

export type SideName = 'a' | 'b';
export const SIDES: readonly SideName[] = ['a', 'b'];

/** What can be asked, in the order of the lists. */
export const targets = computed(() => {
  const known = catalog.value;
  return {
    routers: known?.routers.map(router => `router:${router.name}`) ?? [],
    models: known?.models.map(model => model.name) ?? [],
  };
});

const dearest = (known: Catalog): string | undefined =>
  [...known.models].sort((one, other) => (other.price?.output ?? 0) - (one.price?.output ?? 0))[0]?.name;

function usual(side: SideName): string {
  const known = catalog.value;
  if (!known) return '';
  const routers = known.routers.map(router => router.name);
  const router = routers.includes('software-engineering') ? 'software-engineering' : routers[0];
  const first = router ? `router:${router}` : (known.models[0]?.name ?? '');
  return side === 'a' ? first : (dearest(known) ?? first);
}

function target(side: SideName): string {
  const asked = fragment.value.get(side);
  const { routers, models } = targets.value;
  return asked && (routers.includes(asked) || models.includes(asked)) ? asked : usual(side);
}

export const chosen = computed(() => ({ a: target('a'), b: target('b') }));
/** A name that the address asks for and nothing has. */
export const missing = computed(() =>
  catalog.value
    ? SIDES.map(side => fragment.value.get(side)).filter(
        asked => asked && asked !== chosen.value.a && asked !== chosen.value.b,
      )
    : [],
);

export const choose = (side: SideName, name: string): void => setFragment({ [side]: name });
export const swap = (): void => setFragment({ a: chosen.value.b, b: chosen.value.a });

export const view = computed(() => (fragment.value.get('view') === 'many' ? 'many' : 'one'));
export const keepsSession = computed(() => fragment.value.get('session') === '1');
export const blind = computed(() => fragment.value.get('blind') === '1');
const within = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));
/** How many prompts at once; each opens two connections and a browser has six. */
export const atOnce = computed(() =>
  within(Number.parseInt(fragment.value.get('at-once') ?? '2', 10) || 2, 1, 3),
);
export const maxTokens = computed(() => {
  const asked = Number.parseInt(fragment.value.get('max-tokens') ?? '', 10);
  return asked > 0 ? asked : null;
});

/** The session's name; made anew with each page and on demand. */
export const session = signal(randomName('playground'));
export const newSession = (): void => {
  session.value = randomName('playground');
};

export const isRouter = (name: string): boolean => name.startsWith('router:');
/** A target's name for people. */
export const shown = (name: string): string => (isRouter(name) ? name.slice('router:'.length) : name);
