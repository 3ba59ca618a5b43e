/** One router being edited: the draft, checked by the server soon after each edit, and what saving it came to. */
import { useCallback, useEffect, useReducer, useRef, useState } from 'preact/hooks';
import { type ApiError, asApiError, loadCatalog, type RouterDraft } from '../../api';
import { type Draft, EMPTY, isChecked, question, reduce } from './draft';
import { draft as ask, read, type Saved, type Stored, save } from './store';

/** Long enough to type a word, short enough to be there when one looks up. */
const SETTLE_MS = 300;

export type Source = { uuid: string } | { form: RouterDraft };

export type Session = {
  draft: Draft;
  /** Null while nothing is saved yet. */
  stored: Stored | null;
  loading: boolean;
  saving: boolean;
  /** What went wrong last; not the draft's faults. */
  error: ApiError | null;
  /** Their text, when somebody else changed the router meanwhile. */
  conflict: Stored | null;
  type: (yaml: string) => void;
  form: (form: RouterDraft) => void;
  /** Resolves to what was saved, or null. `over` replaces their change. */
  save: (over?: boolean) => Promise<Saved | null>;
  /** Back to what is stored. */
  reload: () => void;
  settleConflict: () => void;
};

export function useSession(source: Source): Session {
  const [draft, dispatch] = useReducer(reduce, EMPTY);
  const [stored, setStored] = useState<Stored | null>(null);
  const [loading, setLoading] = useState(true);
  const [saving, setSaving] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [conflict, setConflict] = useState<Stored | null>(null);
  const latest = useRef(draft);
  latest.current = draft;

  const take = useCallback((text: Stored) => {
    setStored(text);
    setConflict(null);
    setError(null);
    dispatch({ type: 'loaded', yaml: text.yaml, saved: true });
  }, []);

  const load = useCallback(
    (uuid: string, signal?: AbortSignal) =>
      read(uuid, signal)
        .then(take, problem => {
          if (!signal?.aborted) setError(asApiError(problem));
        })
        .finally(() => setLoading(false)),
    [take],
  );

  useEffect(() => {
    const stop = new AbortController();
    if ('uuid' in source) load(source.uuid, stop.signal);
    else {
      dispatch({ type: 'loaded', yaml: '', saved: false });
      dispatch({ type: 'formed', form: source.form });
      setLoading(false);
    }
    return () => stop.abort();
  }, []);

  useEffect(() => {
    if (loading || isChecked(draft)) return;
    const stop = new AbortController();
    const wait = draft.checked < 0 ? 0 : SETTLE_MS;
    const timer = setTimeout(() => {
      const { revision } = draft;
      ask({ ...question(draft), uuid: stored?.uuid ?? null }, stop.signal).then(
        reply => {
          setError(null);
          dispatch({ type: 'checked', revision, reply });
        },
        problem => {
          if (!stop.signal.aborted) setError(asApiError(problem));
        },
      );
    }, wait);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [draft.revision, loading]);

  const store = async (over: boolean): Promise<Saved | null> => {
    const { yaml } = latest.current;
    try {
      const saved = await save(
        stored?.uuid ?? null,
        yaml,
        over ? (conflict?.etag ?? null) : (stored?.etag ?? null),
      );
      setStored({ uuid: saved.router.uuid, yaml, etag: saved.etag });
      setConflict(null);
      dispatch({ type: 'saved', yaml });
      await loadCatalog();
      return saved;
    } catch (problem) {
      const told = asApiError(problem);
      if (told.status === 412 && stored) await read(stored.uuid).then(setConflict, () => setError(told));
      else if (told.faults.length > 0) dispatch({ type: 'refused', faults: told.faults });
      else setError(told);
      return null;
    }
  };

  return {
    draft,
    stored,
    loading,
    saving,
    error,
    conflict,
    type: yaml => dispatch({ type: 'typed', yaml }),
    form: form => dispatch({ type: 'formed', form }),
    save: async (over = false) => {
      if (saving) return null;
      setSaving(true);
      setError(null);
      return store(over).finally(() => setSaving(false));
    },
    reload: () => {
      if (conflict) take(conflict);
      else if (stored) load(stored.uuid);
    },
    settleConflict: () => setConflict(null),
  };
}
