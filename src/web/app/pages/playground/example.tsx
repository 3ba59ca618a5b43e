/** "Keep as an example of task …": edits the router's own file through the API, comments and all. */
import { useSignal } from '@preact/signals';
import { asApiError, catalog, get, loadCatalog, request, type TaskPreset } from '../../api';
import { ErrorNote, Field } from '../../ui/parts';
import { toast } from '../../ui/toast';

const ROUTERS = '/v2/gen-ai/models/routers';

/** Adds `text` to the examples of `task` in the file of the router with this uuid. */
export async function keepExample(uuid: string, task: string, text: string): Promise<{ copied: boolean }> {
  const [{ withExample }, file, library] = await Promise.all([
    import('./yaml'),
    request<{ yaml: string }>('GET', `${ROUTERS}/${uuid}?format=yaml`),
    get<{ tasks: (TaskPreset & { examples?: string[] })[] }>(`${ROUTERS}/tasks/presets?per_page=1000`),
  ]);
  const known = library.tasks.find(preset => preset.task_slug === task);
  const edited = withExample(file.value.yaml, task, text, known);
  await request('PUT', `${ROUTERS}/${uuid}`, { yaml: edited.yaml }, { ifMatch: file.etag });
  await loadCatalog();
  return { copied: edited.copied };
}

const ADVICE: Record<number, string> = {
  409: 'This router cannot be changed from here: its folder is read-only. Add the example to its file where it is kept.',
  412: 'Somebody else changed the router at the same moment. Nothing was overwritten: press again to add it to the new version.',
};

export function KeepExample({
  target,
  text,
  matched,
}: {
  target: string;
  text: string;
  matched: string | null;
}) {
  const router = catalog.value?.routers.find(one => `router:${one.name}` === target);
  const task = useSignal(matched ?? '');
  const saving = useSignal(false);
  const error = useSignal<unknown>(null);
  if (!router) return null;
  const keep = async () => {
    saving.value = true;
    error.value = null;
    try {
      const { copied } = await keepExample(router.uuid, task.value, text);
      const own = copied ? ' The task came from the library; this router now has a copy of its own.' : '';
      toast(
        `Saved: an example of ${task.value} in ${router.name}. The next request is decided with it.${own}`,
        'good',
      );
    } catch (caught) {
      error.value = caught;
    }
    saving.value = false;
  };
  return (
    <details class="keep">
      <summary class="small">Keep this prompt as an example of a task…</summary>
      <div class="row">
        <Field name="Task" class="grow">
          {id => (
            <select
              id={id}
              class="input"
              value={task.value}
              onChange={event => (task.value = event.currentTarget.value)}
            >
              <option value="" disabled>
                choose a task
              </option>
              {router.tasks.map(one => (
                <option key={one.name} value={one.name}>
                  {one.name}
                  {one.name === matched ? ' (matched)' : ''}
                </option>
              ))}
            </select>
          )}
        </Field>
        <button
          type="button"
          class="button"
          disabled={!task.value || saving.value || !router.editable}
          onClick={keep}
        >
          {saving.value ? 'Saving…' : 'Keep'}
        </button>
      </div>
      {!router.editable && <p class="small muted">{ADVICE[409]}</p>}
      {error.value !== null && (
        <ErrorNote error={error.value} advice={ADVICE[asApiError(error.value).status]} />
      )}
    </details>
  );
}
