/** Changes to a router as a form. Each gives a new one; what the form does not show is kept as it is. Pure. */
import type { Policy, RouterConfig, RouterDraft, RouterPreset, TaskPreset } from '../../types';

export const MOST_MODELS = 3;

/** A router as it was read, with the lists that a draft may still lack. */
export function complete(form: RouterDraft): RouterDraft {
  const { policies, fallback_models } = form.config as Partial<RouterConfig>;
  return {
    ...form,
    config: {
      ...form.config,
      policies: (policies ?? []).map(policy => ({ ...policy, models: policy.models ?? [] })),
      fallback_models: fallback_models ?? [],
    },
  };
}

/** A router as it is sent: what was left empty in the form is left out, so that the text has only what somebody wrote. */
export function tidy({ description, ...form }: RouterDraft): Tidy {
  const policies = form.config.policies.map(({ custom_task: task, ...policy }): Policy => {
    if (!task) return policy;
    const examples = task.examples?.filter(example => example.trim() !== '') ?? [];
    return {
      custom_task: {
        name: task.name,
        ...(task.description ? { description: task.description } : {}),
        ...(examples.length > 0 ? { examples } : {}),
      },
      ...policy,
    };
  });
  return { ...form, ...(description ? { description } : {}), config: { ...form.config, policies } };
}

export type Tidy = Omit<RouterDraft, 'description'> & { description?: string };

export const withConfig = (form: RouterDraft, change: Partial<RouterConfig>): RouterDraft => ({
  ...form,
  config: dropEmpty({ ...form.config, ...change }),
});

/** Keys without a value are left out, so that the text has only what somebody chose. */
function dropEmpty(config: RouterConfig): RouterConfig {
  const kept = Object.entries(config).filter(([, value]) => value !== undefined && !isEmptyObject(value));
  return Object.fromEntries(kept) as RouterConfig;
}

const isEmptyObject = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;

export const withPolicy = (form: RouterDraft, place: number, policy: Policy): RouterDraft =>
  withConfig(form, { policies: form.config.policies.map((one, at) => (at === place ? policy : one)) });

export const withoutPolicy = (form: RouterDraft, place: number): RouterDraft =>
  withConfig(form, { policies: form.config.policies.filter((_, at) => at !== place) });

export const added = (form: RouterDraft, policy: Policy): RouterDraft =>
  withConfig(form, { policies: [...form.config.policies, policy] });

/** One place up (-1) or down (1); at an end, nothing. */
export function moved(form: RouterDraft, place: number, by: -1 | 1): RouterDraft {
  const policies = [...form.config.policies];
  const [one, other] = [policies[place], policies[place + by]];
  if (!one || !other) return form;
  policies[place] = other;
  policies[place + by] = one;
  return withConfig(form, { policies });
}

/** The models with the one at `place` chosen, added (a place beyond the last) or taken out (an empty name). */
export function withModel(models: string[], place: number, name: string): string[] {
  const next = [...models];
  if (name === '') next.splice(place, 1);
  else next[Math.min(place, next.length)] = name;
  return next;
}

export const taskName = (policy: Policy): string => policy.task_slug ?? policy.custom_task?.name ?? '';

/** A policy for a task of the library; of its models those that are here, else what the router uses elsewhere. */
export function fromLibrary(task: TaskPreset, form: RouterDraft, models: string[]): Policy {
  const known = task.models.filter(model => models.includes(model)).slice(0, MOST_MODELS);
  const prefer = task.selection_policy.prefer;
  return {
    task_slug: task.task_slug,
    models: known.length > 0 ? known : usual(form, models),
    ...(prefer === 'none' ? {} : { selection_policy: { prefer } }),
  };
}

export function ownTask(form: RouterDraft, models: string[]): Policy {
  const names = new Set(form.config.policies.map(taskName));
  return { custom_task: { name: free('new-task', names), description: '' }, models: usual(form, models) };
}

/** What the last task uses, else the fallbacks, else the first model there is. */
function usual(form: RouterDraft, models: string[]): string[] {
  const last = form.config.policies.at(-1)?.models;
  const some = last?.length ? last : form.config.fallback_models.slice(0, MOST_MODELS);
  return some.length > 0 ? some : models.slice(0, 1);
}

/** `name`, or with the first number that makes it free. */
export function free(name: string, taken: Set<string>): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(`${name}-${number}`)) number += 1;
  return `${name}-${number}`;
}

export const blank = (taken: Set<string>, models: string[]): RouterDraft => ({
  name: free('new-router', taken),
  description: '',
  config: {
    policies: [
      {
        custom_task: {
          name: 'first-task',
          description: 'What a request of this task asks for, in a sentence',
        },
        models: models.slice(0, 2),
      },
    ],
    fallback_models: models.slice(0, 1),
  },
});

export const fromPreset = (preset: RouterPreset, taken: Set<string>): RouterDraft => ({
  name: free(preset.slug, taken),
  description: preset.short_description,
  config: preset.config,
});
