/**
 * The router that is being edited, held as text and as a form that say the same. The server converts and checks; this
 * decides whose word counts. Invariants: the side that was edited last is the truth; an answer to an older question is
 * dropped; text that somebody typed is never replaced by anything but an edit of the form; while the text cannot be
 * read as a router, the form keeps the last that could be read and takes no edits.
 */

import type { DraftReply, Fault, RouterDraft, Warning } from '../../api';

import { complete, type Tidy, tidy } from './edit';
import { own } from './faults';

export type Side = 'form' | 'yaml';

export type Draft = {
  yaml: string;
  form: RouterDraft | null;
  /** Who was edited last. */
  side: Side;
  /** Rises with each edit: what was asked of the server carries it. */
  revision: number;
  /** The revision that faults, warnings and the other side are about. */
  checked: number;
  faults: Fault[];
  warnings: Warning[];
  /** Whether the text, as it was last checked, is no router at all. */
  unreadable: boolean;
  /** What was loaded or saved last: without it, nothing is saved yet. */
  saved: string | null;
};

export type Action =
  | { type: 'loaded'; yaml: string; saved: boolean }
  | { type: 'typed'; yaml: string }
  | { type: 'formed'; form: RouterDraft }
  | { type: 'checked'; revision: number; reply: DraftReply }
  | { type: 'refused'; faults: Fault[] }
  | { type: 'saved'; yaml: string };

export const EMPTY: Draft = {
  yaml: '',
  form: null,
  side: 'yaml',
  revision: 0,
  checked: -1,
  faults: [],
  warnings: [],
  unreadable: false,
  saved: null,
};

export function reduce(draft: Draft, action: Action): Draft {
  switch (action.type) {
    case 'loaded':
      return {
        ...EMPTY,
        yaml: action.yaml,
        revision: draft.revision + 1,
        saved: action.saved ? action.yaml : null,
      };
    case 'typed':
      if (action.yaml === draft.yaml) return draft;
      return { ...draft, yaml: action.yaml, side: 'yaml', revision: draft.revision + 1 };
    case 'formed':
      return { ...draft, form: action.form, side: 'form', revision: draft.revision + 1 };
    case 'checked':
      return checked(draft, action.revision, action.reply);
    case 'refused':
      return { ...draft, faults: action.faults };
    case 'saved':
      return { ...draft, saved: action.yaml };
  }
}

function checked(draft: Draft, revision: number, reply: DraftReply): Draft {
  if (revision !== draft.revision) return draft;
  const { warnings } = reply;
  const faults = own(reply.faults, reply.file ?? null);
  const told = { ...draft, checked: revision, faults, warnings, unreadable: reply.router === null };
  return draft.side === 'form'
    ? { ...told, yaml: reply.yaml }
    : { ...told, form: reply.router ? complete(reply.router) : draft.form };
}

/** What to ask the server about this draft. */
export function question(draft: Draft): { yaml: string } | { router: Tidy } {
  return draft.side === 'form' && draft.form ? { router: tidy(draft.form) } : { yaml: draft.yaml };
}

export function isChecked(draft: Draft): boolean {
  return draft.checked === draft.revision;
}

/** Whether leaving would lose something. A form edit counts before the server has turned it into text. */
export function isDirty(draft: Draft): boolean {
  return draft.yaml !== (draft.saved ?? '') || (draft.side === 'form' && !isChecked(draft));
}

export function canSave(draft: Draft): boolean {
  return isChecked(draft) && draft.faults.length === 0;
}

/** Whether the next edit of the form would drop comments that somebody wrote: a form holds none. */
export function wouldDropComments(draft: Draft): boolean {
  return draft.side === 'yaml' && hasComments(draft.yaml);
}

/** A `#` at the beginning of a line or after white space, outside of quotes. Block texts may cry wolf; no harm. */
export function hasComments(yaml: string): boolean {
  return yaml.split('\n').some(line => {
    let quote = '';
    for (let at = 0; at < line.length; at += 1) {
      const char = line.charAt(at);
      const opens = at === 0 || /[\s[{,:-]/.test(line.charAt(at - 1));
      if (quote) {
        if (char === quote) quote = '';
      } else if ((char === '"' || char === "'") && opens) quote = char;
      else if (char === '#' && (at === 0 || /\s/.test(line.charAt(at - 1)))) return true;
    }
    return false;
  });
}
