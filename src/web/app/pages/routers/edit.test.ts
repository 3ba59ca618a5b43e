import { describe, expect, it } from 'vitest';
import type { RouterDraft, TaskPreset } from '../../types';
import {
  added,
  blank,
  complete,
  free,
  fromLibrary,
  moved,
  ownTask,
  tidy,
  withConfig,
  withModel,
  withoutPolicy,
  withPolicy,
} from './edit';

const form: RouterDraft = {
  name: 'r',
  description: 'kept',
  config: {
    policies: [
      { task_slug: 'a', models: ['x', 'y'] },
      { custom_task: { name: 'b' }, models: ['y'] },
    ],
    fallback_models: ['z'],
    failover: { rescue: 'continue', wait: '2s' },
  },
};
const names = (of: RouterDraft) =>
  of.config.policies.map(policy => policy.task_slug ?? policy.custom_task?.name);

const preset = (models: string[]): TaskPreset => ({
  task_slug: 'translation',
  name: 'Translation',
  category: 'Writing',
  description: '',
  models,
  tags: [],
  selection_policy: { prefer: 'cheapest' },
});

describe('changes', () => {
  it('keep what the form does not show, and the form that they began from', () => {
    const next = withConfig(form, { threshold: 0.4 });
    expect(next.config).toEqual({ ...form.config, threshold: 0.4 });
    expect(form.config.threshold).toBeUndefined();
  });

  it('leave no empty key behind', () => {
    const with_both = withConfig(form, { threshold: 0.4 });
    const next = withConfig(with_both, { threshold: undefined, failover: {} } as object);
    expect(Object.keys(next.config)).toEqual(['policies', 'fallback_models']);
  });

  it('replace, take out and move policies', () => {
    expect(names(withPolicy(form, 1, { task_slug: 'c', models: [] }))).toEqual(['a', 'c']);
    expect(names(withoutPolicy(form, 0))).toEqual(['b']);
    expect(names(moved(form, 0, 1))).toEqual(['b', 'a']);
    expect(moved(form, 0, -1)).toBe(form);
    expect(moved(form, 1, 1)).toBe(form);
  });
});

describe('models', () => {
  it('are chosen, added at the end and taken out', () => {
    expect(withModel(['x', 'y'], 0, 'z')).toEqual(['z', 'y']);
    expect(withModel(['x'], 2, 'z')).toEqual(['x', 'z']);
    expect(withModel(['x', 'y'], 0, '')).toEqual(['y']);
  });

  it('of a library task are those that are here, else what the router uses', () => {
    expect(fromLibrary(preset(['q', 'x']), form, ['x', 'y', 'z'])).toEqual({
      task_slug: 'translation',
      models: ['x'],
      selection_policy: { prefer: 'cheapest' },
    });
    expect(fromLibrary(preset(['q']), form, ['x', 'y', 'z']).models).toEqual(['y']);
  });
});

it('is completed where a draft still lacks its lists', () => {
  const half = { name: 'r', description: '', config: { policies: [{ task_slug: 'a' }], threshold: 0.5 } };
  expect(complete(half as unknown as RouterDraft).config).toEqual({
    policies: [{ task_slug: 'a', models: [] }],
    fallback_models: [],
    threshold: 0.5,
  });
});

it('is sent without what was left empty', () => {
  const own = { name: 'b', description: '', examples: ['one', '', 'two'] };
  const policies = [
    { custom_task: own, models: ['y'] },
    { task_slug: 'a', models: ['x'] },
  ];
  expect(tidy({ name: 'r', description: '', config: { policies, fallback_models: ['z'] } })).toEqual({
    name: 'r',
    config: {
      policies: [
        { custom_task: { name: 'b', examples: ['one', 'two'] }, models: ['y'] },
        { task_slug: 'a', models: ['x'] },
      ],
      fallback_models: ['z'],
    },
  });
});

describe('new ones', () => {
  it('take a name that is free', () => {
    expect(free('a', new Set(['a', 'a-2']))).toBe('a-3');
    expect(blank(new Set(['new-router']), ['x']).name).toBe('new-router-2');
    const twice = added(form, ownTask(form, ['x']));
    expect(ownTask(twice, ['x']).custom_task?.name).toBe('new-task-2');
  });
});
