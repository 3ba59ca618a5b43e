/** Models in order: one list box for each, and an empty one to add the next. */
import { modelColor } from '../../ui/models';
import { withModel } from './edit';
import type { Mark } from './faults';
import { At, isWrong } from './problems';

type Props = {
  /** What one of them is called, such as "Model". */
  name: string;
  chosen: string[];
  models: string[];
  most: number;
  marks: Mark[];
  path: string;
  onModels: (models: string[]) => void;
};

export function ModelList({ name, chosen, models, most, marks, path, onModels }: Props) {
  // More than may be is shown all the same, so that it can be mended.
  const places = Array.from(
    { length: Math.max(chosen.length, Math.min(chosen.length + 1, most)) },
    (_, at) => at,
  );
  return (
    <div class="model-list">
      <ol>
        {places.map(place => {
          const model = chosen[place] ?? '';
          return (
            <li key={place}>
              <i
                class="swatch"
                style={{ background: model ? modelColor(model) : 'transparent' }}
                aria-hidden="true"
              />
              <select
                class="input"
                aria-label={`${name} ${place + 1}`}
                aria-invalid={isWrong(marks, `${path}[${place}]`)}
                value={model}
                onChange={event => onModels(withModel(chosen, place, event.currentTarget.value))}
              >
                <option value="">{model ? '(take out)' : 'add a model…'}</option>
                {[...new Set([...models, ...(model ? [model] : [])])].map(one => (
                  <option key={one} value={one} disabled={one !== model && chosen.includes(one)}>
                    {one}
                  </option>
                ))}
              </select>
            </li>
          );
        })}
      </ol>
      <At marks={marks} path={path} />
    </div>
  );
}
