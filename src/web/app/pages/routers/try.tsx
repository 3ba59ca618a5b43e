/** A sentence against the draft as it stands, saved or not: nothing is called, counted or kept. Follows every edit. */
import { useEffect, useState } from 'preact/hooks';
import { type ApiError, asApiError, type Decision } from '../../api';
import { DecisionCard } from '../../ui/decision';
import { Card, ErrorNote } from '../../ui/parts';
import { canSave, type Draft } from './draft';
import { tried } from './store';

const SETTLE_MS = 350;

export function TryBox({ draft, uuid }: { draft: Draft; uuid: string | null }) {
  const [text, setText] = useState('');
  const [decision, setDecision] = useState<Decision | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const ready = canSave(draft);
  const asked = text.trim() !== '';
  useEffect(() => {
    if (!asked) {
      setDecision(null);
      setError(null);
    }
    if (!asked || !ready) return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      tried({ yaml: draft.yaml, text, uuid }, stop.signal).then(
        found => {
          setDecision(found);
          setError(null);
        },
        problem => {
          if (!stop.signal.aborted) setError(asApiError(problem));
        },
      );
    }, SETTLE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [text, draft.yaml, ready]);
  return (
    <Card
      title="Try a sentence"
      end={<span class="small faint">against this draft, saved or not</span>}
      class="try"
    >
      <textarea
        class="input"
        rows={2}
        aria-label="A sentence to try against this draft"
        placeholder="What would a user ask?"
        value={text}
        onInput={event => setText(event.currentTarget.value)}
      />
      <div aria-live="polite">
        {asked && draft.faults.length > 0 && (
          <p class="small muted">
            The draft has mistakes: mend them to see what it decides
            {decision && '. This was decided before them'}.
          </p>
        )}
        {error && <ErrorNote error={error} />}
        {!error && decision && (
          <>
            <h3 class="unseen">Decision</h3>
            <DecisionCard decision={decision} />
          </>
        )}
        {!asked && (
          <p class="small faint">
            Shows which task it is, how sure that is, and which model would answer. No model is called.
          </p>
        )}
      </div>
    </Card>
  );
}
