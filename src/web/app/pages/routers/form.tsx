/** The router as a form: who it is, its tasks with their models, and what to do when none fits. */
import type { RouterDraft, TaskPreset } from '../../api';
import { Field, Icon } from '../../ui/parts';
import { added, fromLibrary, moved, ownTask, taskName, withConfig, withoutPolicy, withPolicy } from './edit';
import type { Mark } from './faults';
import { Library } from './library';
import { ModelList } from './models';
import { PolicyFields } from './policy';
import { At, isWrong } from './problems';

export type FormProps = {
  form: RouterDraft;
  marks: Mark[];
  models: string[];
  library: TaskPreset[];
  onForm: (form: RouterDraft) => void;
};

export function RouterForm(props: FormProps) {
  const { form, marks, models, library, onForm } = props;
  const { policies } = form.config;
  const shown = policies.map((_, place) => `policies[${place}]`);
  return (
    <div class="stack router-form">
      <div class="two">
        <Field name="Name" hint={`Requests say "model": "router:${form.name}"`}>
          {id => (
            <>
              <input
                id={id}
                class="input mono"
                value={form.name}
                spellcheck={false}
                aria-invalid={isWrong(marks, 'name')}
                onInput={event => onForm({ ...form, name: event.currentTarget.value })}
              />
              <At marks={marks} path="name" />
            </>
          )}
        </Field>
        <Field name="Description">
          {id => (
            <>
              <input
                id={id}
                class="input"
                value={form.description}
                onInput={event => onForm({ ...form, description: event.currentTarget.value })}
              />
              <At marks={marks} path="description" />
            </>
          )}
        </Field>
      </div>
      <section aria-labelledby="tasks-heading" class="policies">
        <h3 id="tasks-heading">
          Tasks <span class="faint small">{policies.length}</span>
        </h3>
        <At marks={marks} path="policies" shown={shown} />
        <ol>
          {policies.map((policy, place) => (
            <PolicyFields
              key={place}
              policy={policy}
              place={place}
              last={policies.length - 1}
              marks={marks}
              models={models}
              library={library}
              onPolicy={next => onForm(withPolicy(form, place, next))}
              onMove={by => onForm(moved(form, place, by))}
              onRemove={() => onForm(withoutPolicy(form, place))}
            />
          ))}
        </ol>
        <div class="row">
          <Library
            tasks={library}
            used={new Set(policies.map(taskName))}
            onPick={task => onForm(added(form, fromLibrary(task, form, models)))}
          />
          <button type="button" class="button" onClick={() => onForm(added(form, ownTask(form, models)))}>
            <Icon name="plus" /> Own task
          </button>
        </div>
      </section>
      <section aria-labelledby="fallback-heading">
        <h3 id="fallback-heading">Fallback models</h3>
        <p class="small muted">Tried in this order when no task matches, and after a task's models failed.</p>
        <ModelList
          name="Fallback model"
          chosen={form.config.fallback_models}
          models={models}
          most={16}
          marks={marks}
          path="fallback_models"
          onModels={fallback_models => onForm(withConfig(form, { fallback_models }))}
        />
      </section>
      <Settings {...props} />
    </div>
  );
}

function Settings({ form, marks, onForm }: FormProps) {
  const { threshold, switch_budget, failover } = form.config;
  const number = (value: string) => (value.trim() === '' ? undefined : Number(value));
  const rescue = typeof failover?.rescue === 'string' ? failover.rescue : '';
  const paths = ['threshold', 'switch_budget', 'failover'];
  const change = (key: 'threshold' | 'switch_budget', value: string) =>
    onForm(withConfig(form, { [key]: number(value) } as object));
  const { rescue: _left, ...others } = failover ?? {};
  return (
    <details class="settings" open={paths.some(path => isWrong(marks, path))}>
      <summary>
        More settings{' '}
        <span class="small faint">
          {paths.filter(path => path in form.config).join(', ') || 'as the catalog has them'}
        </span>
      </summary>
      <div class="three">
        <Field name="Threshold" hint="Probability that a task needs to match; empty: the classifier's own">
          {id => (
            <>
              <input
                id={id}
                class="input"
                type="number"
                min="0"
                max="1"
                step="0.05"
                value={threshold ?? ''}
                onInput={event => change('threshold', event.currentTarget.value)}
              />
              <At marks={marks} path="threshold" />
            </>
          )}
        </Field>
        <Field name="Switch budget, %" hint="What a session may cost above never switching models">
          {id => (
            <>
              <input
                id={id}
                class="input"
                type="number"
                min="0"
                step="5"
                value={switch_budget ?? ''}
                onInput={event => change('switch_budget', event.currentTarget.value)}
              />
              <At marks={marks} path="switch_budget" />
            </>
          )}
        </Field>
        <Field name="When an answer breaks off" hint="Text answers can be finished by the next model">
          {id => (
            <>
              <select
                id={id}
                class="input"
                value={rescue}
                onChange={event => {
                  const chosen = event.currentTarget.value;
                  onForm(withConfig(form, { failover: chosen ? { ...others, rescue: chosen } : others }));
                }}
              >
                <option value="">as the catalog says</option>
                <option value="none">none: it is an error</option>
                <option value="continue">continue with the next model</option>
              </select>
              <At marks={marks} path="failover" />
            </>
          )}
        </Field>
      </div>
    </details>
  );
}
