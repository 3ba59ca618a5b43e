/** Where we are: the path says the page, the fragment the page's settings. */
import { signal } from '@preact/signals';

export const path = signal(location.pathname);
export const fragment = signal(new URLSearchParams(location.hash.slice(1)));

/** Set by a page that would lose something: asked before a link leads elsewhere; false stays. */
export const leaving: { guard: (() => boolean) | null } = { guard: null };

const read = () => {
  path.value = location.pathname;
  fragment.value = new URLSearchParams(location.hash.slice(1));
};
/** The way back is a step that has been taken already: to stay is to step forward again. */
const back = () => {
  const elsewhere = location.pathname !== path.value;
  if (elsewhere && leaving.guard && !leaving.guard()) {
    const settings = fragment.value.toString();
    history.pushState(null, '', settings ? `${path.value}#${settings}` : path.value);
  } else read();
};
addEventListener('popstate', back);
addEventListener('hashchange', read);

export function navigate(to: string): void {
  if (to === location.pathname + location.hash) return;
  if (leaving.guard && !leaving.guard()) return;
  history.pushState(null, '', to);
  read();
  scrollTo(0, 0);
}

/** Puts settings into the fragment, in place: the address can be copied, the way back stays short. Null takes one out. */
export function setFragment(change: Record<string, string | null>): void {
  const next = new URLSearchParams(fragment.value);
  for (const [name, value] of Object.entries(change)) {
    if (value === null || value === '') next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  history.replaceState(null, '', text ? `#${text}` : location.pathname);
  fragment.value = next;
}
