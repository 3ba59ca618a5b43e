/** One task of a router: from the library or in the operator's own words, its models, and how they are ordered. */
import type { Policy, Prefer, TaskPreset } from '../../api';
import { Field, Icon } from '../../ui/parts';
import { MOST_MODELS, taskName } from './edit';
import type { Mark } from './faults';
import { ModelList } from './models';
import { At, isWrong } from './problems';

type Props = {
  policy: Policy;
  place: number;
  last: number;
  marks: Mark[];
  models: string[];
  library: TaskPreset[];
  onPolicy: (policy: Policy) => void;
  onMove: (by: -1 | 1) => void;
  onRemove: () => void;
};

const PREFER: [Prefer, string][] = [
  ['none', 'in this order'],
  ['cheapest', 'the cheapest first'],
  ['fastest', 'the fastest first'],
  ['optimal', 'the best first'],
];

export function PolicyFields(props: Props) {
  const { policy, place, last, marks, models, onPolicy, onMove, onRemove } = props;
  const path = `policies[${place}]`;
  const name = taskName(policy);
  const called = name || `task ${place + 1}`;
  const below = ['task_slug', 'custom_task', 'models', 'selection_policy'].map(field => `${path}.${field}`);
  return (
    <li class="policy">
      <header>
        <span class="faint">{place + 1}</span>
        <h4>{name || <span class="faint">no name yet</span>}</h4>
        <Press name="up" label={`Move ${called} up`} off={place === 0} go={() => onMove(-1)} />
        <Press name="down" label={`Move ${called} down`} off={place === last} go={() => onMove(1)} />
        <Press name="trash" label={`Remove ${called}`} off={false} go={onRemove} />
      </header>
      <At marks={marks} path={path} shown={below} />
      <div class="two">
        <div class="stack">
          {policy.custom_task ? <TaskName {...props} path={path} /> : <LibraryTask {...props} path={path} />}
          <Tried {...props} path={path} />
        </div>
        <div class="field">
          <span class="name">Models, at most {MOST_MODELS}</span>
          <ModelList
            name={`Model of ${called}`}
            chosen={policy.models}
            models={models}
            most={MOST_MODELS}
            marks={marks}
            path={`${path}.models`}
            onModels={next => onPolicy({ ...policy, models: next })}
          />
        </div>
      </div>
      {policy.custom_task && <OwnWords {...props} path={path} />}
    </li>
  );
}

function Tried({ policy, marks, path, onPolicy }: Props & { path: string }) {
  return (
    <Field name="Tried">
      {id => (
        <>
          <select
            id={id}
            class="input"
            value={policy.selection_policy?.prefer ?? 'none'}
            onChange={event =>
              onPolicy({ ...policy, selection_policy: { prefer: event.currentTarget.value as Prefer } })
            }
          >
            {PREFER.map(([prefer, meaning]) => (
              <option key={prefer} value={prefer}>
                {meaning}
              </option>
            ))}
          </select>
          <At marks={marks} path={`${path}.selection_policy`} />
        </>
      )}
    </Field>
  );
}

type PressProps = { name: 'up' | 'down' | 'trash'; label: string; off: boolean; go: () => void };

const Press = ({ name, label, off, go }: PressProps) => (
  <button
    type="button"
    class="button quiet icon small"
    aria-label={label}
    title={label}
    disabled={off}
    onClick={go}
  >
    <Icon name={name} />
  </button>
);

function LibraryTask({ policy, library, marks, path, onPolicy }: Props & { path: string }) {
  const slug = policy.task_slug ?? '';
  const known = library.find(task => task.task_slug === slug);
  const categories = [...new Set(library.map(task => task.category))];
  return (
    <Field name="Task of the library" hint={known?.description}>
      {id => (
        <>
          <select
            id={id}
            class="input"
            value={slug}
            aria-invalid={isWrong(marks, `${path}.task_slug`)}
            onChange={event => onPolicy({ ...policy, task_slug: event.currentTarget.value })}
          >
            {!known && <option value={slug}>{slug || 'choose…'}</option>}
            {categories.map(category => (
              <optgroup key={category} label={category}>
                {library
                  .filter(task => task.category === category)
                  .map(task => (
                    <option key={task.task_slug} value={task.task_slug}>
                      {task.task_slug}
                    </option>
                  ))}
              </optgroup>
            ))}
          </select>
          <At marks={marks} path={`${path}.task_slug`} />
        </>
      )}
    </Field>
  );
}

const ownTask = (policy: Policy) => policy.custom_task ?? { name: '' };

function TaskName({ policy, marks, path, onPolicy }: Props & { path: string }) {
  const task = ownTask(policy);
  const at = `${path}.custom_task`;
  return (
    <Field name="Task, in own words">
      {id => (
        <>
          <input
            id={id}
            class="input"
            value={task.name}
            aria-invalid={isWrong(marks, `${at}.name`)}
            onInput={event =>
              onPolicy({ ...policy, custom_task: { ...task, name: event.currentTarget.value } })
            }
          />
          <At marks={marks} path={at} shown={[`${at}.description`, `${at}.examples`]} />
        </>
      )}
    </Field>
  );
}

function OwnWords({ policy, marks, path, onPolicy }: Props & { path: string }) {
  const task = ownTask(policy);
  const at = `${path}.custom_task`;
  const change = (next: Partial<typeof task>) => onPolicy({ ...policy, custom_task: { ...task, ...next } });
  return (
    <>
      <Field
        name="Description"
        hint="What such a request asks for, in plain words: this is what the classifier reads"
      >
        {id => (
          <>
            <textarea
              id={id}
              class="input"
              rows={2}
              value={task.description ?? ''}
              onInput={event => change({ description: event.currentTarget.value })}
            />
            <At marks={marks} path={`${at}.description`} />
          </>
        )}
      </Field>
      <Field name="Examples" hint="One to a line, as users would write them">
        {id => (
          <>
            <textarea
              id={id}
              class="input"
              rows={Math.min(6, Math.max(2, (task.examples?.length ?? 0) + 1))}
              value={(task.examples ?? []).join('\n')}
              onInput={event => change({ examples: lines(event.currentTarget.value) })}
            />
            <At marks={marks} path={`${at}.examples`} />
          </>
        )}
      </Field>
    </>
  );
}

/** The last line may be empty while it is being begun; the others mean something. */
function lines(text: string): string[] {
  const all = text.split('\n');
  return all.filter((line, place) => line.trim() !== '' || (place === all.length - 1 && place > 0));
}
