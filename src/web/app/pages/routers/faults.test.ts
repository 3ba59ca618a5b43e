import { describe, expect, it } from 'vitest';
import { at, byLine, marks, own, steps } from './faults';

const fault = (path: string, line = 0, column = 0) => ({ file: null, line, column, path, message: path });

describe('marks', () => {
  it('come in the order of the text, those without a line first', () => {
    const all = marks(
      [fault('b', 9, 2), fault('a', 9, 1), fault('whole')],
      [{ path: 'policies[0]', tasks: ['x', 'y'], message: 'alike', line: 3, column: 5 }],
    );
    expect(all.map(({ line, severity }) => [line, severity])).toEqual([
      [0, 'fault'],
      [3, 'warning'],
      [9, 'fault'],
      [9, 'fault'],
    ]);
    expect(
      byLine(all)
        .get(9)
        ?.map(({ path }) => path),
    ).toEqual(['a', 'b']);
  });
});

describe('faults of another file', () => {
  const both = [
    { ...fault('name', 1, 7), file: 'a.yaml' },
    { ...fault('name', 2, 7), file: 'b.yaml' },
  ];

  it('mark no line and no field of this one, and say where they are', () => {
    const all = marks(own(both, 'a.yaml'), []);
    expect(all.map(({ line, path, message }) => [line, path, message])).toEqual([
      [0, '', 'in b.yaml:2:7: name: name'],
      [1, 'name', 'name'],
    ]);
    expect(at(all, 'name')).toHaveLength(1);
  });

  it('are left as they are where the file of this one is not known', () => {
    expect(own(both, null)).toEqual(both);
  });
});

describe('fields', () => {
  it('are found whatever way the path is written', () => {
    expect(steps('policies[0].models[1]')).toEqual(['policies', '0', 'models', '1']);
    expect(steps('routers.policies[2]')).toEqual(['policies', '2']);
    expect(steps('')).toEqual([]);
  });

  it('show what is wrong with them, and what is shown deeper is not repeated', () => {
    const all = marks(
      [fault('policies[1]'), fault('policies[1].models[0]'), fault('policies[10].models')],
      [],
    );
    expect(at(all, 'policies[1].models').map(({ path }) => path)).toEqual(['policies[1].models[0]']);
    expect(at(all, 'policies[1]', ['policies[1].models']).map(({ path }) => path)).toEqual(['policies[1]']);
    expect(at(all, 'fallback_models')).toEqual([]);
  });
});
