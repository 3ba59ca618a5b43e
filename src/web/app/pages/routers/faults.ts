/** Where mistakes and warnings belong: at their line of the text, and at their field of the form. Pure. */

import type { Fault, Warning } from '../../api';

export type Mark = {
  line: number;
  column: number;
  severity: 'fault' | 'warning';
  message: string;
  path: string;
};

/** Those of another file keep their words, with the place there; this text has no line and no field for them. */
export function own(faults: Fault[], file: string | null): Fault[] {
  if (file === null) return faults;
  return faults.map(fault =>
    fault.file === null || fault.file === file
      ? fault
      : {
          ...fault,
          line: 0,
          column: 0,
          path: '',
          message: `in ${fault.file}:${fault.line}:${fault.column}: ${fault.path ? `${fault.path}: ` : ''}${fault.message}`,
        },
  );
}

/** Faults and warnings in the order of the text; those without a line come first, at line 0. */
export function marks(faults: Fault[], warnings: Warning[]): Mark[] {
  return [
    ...faults.map((fault): Mark => ({ ...place(fault), severity: 'fault' })),
    ...warnings.map((warning): Mark => ({ ...place(warning), severity: 'warning' })),
  ].sort((one, other) => one.line - other.line || one.column - other.column);
}

function place({ line, column, path, message }: Fault | Warning) {
  return { line: line ?? 0, column: column ?? 0, path, message };
}

/** The worst mark of each line, for the gutter. */
export function byLine(all: Mark[]): Map<number, Mark[]> {
  const lines = new Map<number, Mark[]>();
  for (const mark of all) {
    const here = lines.get(mark.line);
    if (here) here.push(mark);
    else lines.set(mark.line, [mark]);
  }
  return lines;
}

/** A path's steps: `policies[0].models[1]` is policies, 0, models, 1. A router's own prefix is left out. */
export function steps(path: string): string[] {
  const all = path.split(/[.[\]]+/).filter(Boolean);
  return all[0] === 'routers' || all[0] === 'router' ? all.slice(1) : all;
}

/** What belongs at this field: marks of the path itself or below it, not those of a deeper field that is shown too. */
export function at(all: Mark[], path: string, shown: string[] = []): Mark[] {
  const here = steps(path);
  const deeper = shown.map(steps);
  return all.filter(mark => {
    const there = steps(mark.path);
    return isWithin(there, here) && !deeper.some(inner => isWithin(there, inner));
  });
}

function isWithin(path: string[], outer: string[]): boolean {
  return outer.length <= path.length && outer.every((step, index) => path[index] === step);
}
