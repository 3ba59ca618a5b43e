/** What the same tokens would have cost at another model: an estimate, for another model writes other tokens. */
import type { CatalogModel, Usage } from '../../api';

export function costAt(model: CatalogModel | undefined, usage: Usage): number | null {
  const price = model?.price;
  if (price?.input == null || price.output == null) return null;
  const uncached = Math.max(0, usage.input - usage.cache_read - usage.cache_write);
  const read = usage.cache_read * (price.cache_read ?? price.input);
  const written = usage.cache_write * (price.cache_write ?? price.input);
  return (uncached * price.input + read + written + usage.output * price.output) / 1e6;
}
