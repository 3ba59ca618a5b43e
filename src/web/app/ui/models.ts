/** One color for each model, the same on every page: by its place in the catalog, so that it stays while it serves. */
import { catalog } from '../api';

/** As CSS understands it. A model that the catalog does not know (any more) is gray. */
export function modelColor(name: string): string {
  return `var(${modelToken(name)})`;
}

/** The token of `tokens.css`. */
export function modelToken(name: string): string {
  const place = catalog.value?.models.findIndex(model => model.name === name) ?? -1;
  return place < 0 ? '--ink-3' : `--series-${(place % 8) + 1}`;
}
