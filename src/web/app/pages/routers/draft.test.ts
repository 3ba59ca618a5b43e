import { describe, expect, it } from 'vitest';
import type { DraftReply, RouterDraft } from '../../api';
import {
  canSave,
  type Draft,
  EMPTY,
  hasComments,
  isChecked,
  isDirty,
  question,
  reduce,
  wouldDropComments,
} from './draft';

const form = (name: string): RouterDraft => ({
  name,
  description: '',
  config: { policies: [], fallback_models: ['glm-5'] },
});

const reply = (yaml: string, changes: Partial<DraftReply> = {}): DraftReply => ({
  yaml,
  router: form('from the server'),
  faults: [],
  warnings: [],
  ...changes,
});

const fault = { file: null, line: 2, column: 1, path: 'name', message: 'is wrong' };

const loaded = (yaml: string): Draft => {
  const draft = reduce(EMPTY, { type: 'loaded', yaml, saved: true });
  return reduce(draft, { type: 'checked', revision: draft.revision, reply: reply(yaml) });
};

describe('the two sides', () => {
  it('start from the text, and the form follows', () => {
    const draft = loaded('name: a # mine\n');
    expect(draft.yaml).toBe('name: a # mine\n');
    expect(draft.form?.name).toBe('from the server');
    expect(isDirty(draft)).toBe(false);
    expect(canSave(draft)).toBe(true);
  });

  it('keep text as it was typed, though the server would write it otherwise', () => {
    let draft = reduce(loaded('name: a\n'), { type: 'typed', yaml: 'name:   b   # mine\n' });
    expect(question(draft)).toEqual({ yaml: 'name:   b   # mine\n' });
    draft = reduce(draft, { type: 'checked', revision: draft.revision, reply: reply('name: b\n') });
    expect(draft.yaml).toBe('name:   b   # mine\n');
    expect(isDirty(draft)).toBe(true);
  });

  it('take the text from the server after an edit of the form', () => {
    let draft = reduce(loaded('name: a # mine\n'), { type: 'formed', form: form('b') });
    expect(question(draft)).toEqual({ router: { name: 'b', config: form('b').config } });
    expect(isDirty(draft)).toBe(true);
    expect(canSave(draft)).toBe(false);
    draft = reduce(draft, { type: 'checked', revision: draft.revision, reply: reply('name: b\n') });
    expect(draft.yaml).toBe('name: b\n');
    expect(draft.form?.name).toBe('b');
    expect(canSave(draft)).toBe(true);
  });

  it('drop an answer to an older question', () => {
    const first = reduce(loaded('name: a\n'), { type: 'formed', form: form('b') });
    const second = reduce(first, { type: 'typed', yaml: 'name: c\n' });
    const late = reduce(second, { type: 'checked', revision: first.revision, reply: reply('name: b\n') });
    expect(late).toBe(second);
    expect(isChecked(late)).toBe(false);
  });

  it('keep the last readable form while the text cannot be read', () => {
    let draft = reduce(loaded('name: a\n'), { type: 'typed', yaml: 'name: [' });
    const unreadable = reply('name: [', { router: null, faults: [fault] });
    draft = reduce(draft, { type: 'checked', revision: draft.revision, reply: unreadable });
    expect(draft.form?.name).toBe('from the server');
    expect(draft.unreadable).toBe(true);
    expect(draft.faults).toEqual([fault]);
    expect(canSave(draft)).toBe(false);
  });

  it('are clean again when the edit is taken back or saved', () => {
    const edited = reduce(loaded('name: a\n'), { type: 'typed', yaml: 'name: b\n' });
    expect(isDirty(reduce(edited, { type: 'typed', yaml: 'name: a\n' }))).toBe(false);
    expect(isDirty(reduce(edited, { type: 'saved', yaml: 'name: b\n' }))).toBe(false);
  });

  it('are dirty from the start when nothing was saved yet', () => {
    expect(isDirty(reduce(EMPTY, { type: 'loaded', yaml: 'name: new\n', saved: false }))).toBe(true);
  });

  it('show the faults of a refused save', () => {
    expect(reduce(loaded('name: a\n'), { type: 'refused', faults: [fault] }).faults).toEqual([fault]);
  });
});

describe('comments', () => {
  it('are found where YAML has them', () => {
    expect(hasComments('# first\nname: a\n')).toBe(true);
    expect(hasComments('name: a # why\n')).toBe(true);
    expect(hasComments('name: a#b\n')).toBe(false);
    expect(hasComments('examples: ["issue # 4", \'a # b\']\n')).toBe(false);
    expect(hasComments("description: it's here # and this\n")).toBe(true);
  });

  it('would be dropped by the first edit of the form, not by the second', () => {
    const draft = loaded('name: a # mine\n');
    expect(wouldDropComments(draft)).toBe(true);
    expect(wouldDropComments(reduce(draft, { type: 'formed', form: form('b') }))).toBe(false);
  });
});
