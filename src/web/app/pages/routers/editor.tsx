/** One router, as a form and as text side by side, with what is wrong, a sentence to try, and the way to save it. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { catalog, type TaskPreset } from '../../api';
import { Card, Dialog, ErrorNote, Icon, Loading, Tag } from '../../ui/parts';
import { toast } from '../../ui/toast';
import { canSave, isChecked, isDirty, wouldDropComments } from './draft';
import { type Mark, marks as marksOf } from './faults';
import { RouterForm } from './form';
import { Problems } from './problems';
import { type Session, type Source, useSession } from './session';
import { remove } from './store';
import { TryBox } from './try';
import { goTo, YamlPane } from './yaml';

type Props = {
  source: Source;
  editable: boolean;
  library: TaskPreset[];
  onDirty: (dirty: boolean) => void;
  /** The name that it has now; null when it is gone. */
  onSaved: (name: string | null) => void;
};

export function Editor({ source, editable, library, onDirty, onSaved }: Props) {
  const session = useSession(source);
  const { draft } = session;
  const area = useRef<HTMLTextAreaElement>(null);
  const dirty = isDirty(draft) && !session.loading;
  useEffect(() => onDirty(dirty), [dirty]);
  const marks = useMemo(() => marksOf(draft.faults, draft.warnings), [draft.faults, draft.warnings]);
  const go = (mark: Mark) => goTo(area.current, mark.line, mark.column);
  const save = async (over = false) => {
    const saved = await session.save(over);
    if (!saved) return;
    toast(`${saved.router.name} is saved and serves now.`, 'good');
    onSaved(saved.router.name);
  };
  if (session.loading) return <Loading lines={8} what="The router" />;
  if (!session.stored && 'uuid' in source)
    return session.error && <ErrorNote error={session.error} retry={session.reload} />;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a shortcut beside the button, not instead of it
    <div
      class="editor"
      onKeyDown={event => {
        if (event.key !== 's' || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        if (editable && dirty && canSave(draft)) save();
      }}
    >
      <Bar session={session} editable={editable} dirty={dirty} onSave={() => save()} onSaved={onSaved} />
      {!editable && (
        <p class="note">
          This router's file cannot be written here, so it can be read and tried, not saved. Change the file
          itself: it serves within a second.
        </p>
      )}
      {session.error && <ErrorNote error={session.error} />}
      <div class="sides">
        <FormSide session={session} editable={editable} marks={marks} library={library} />
        <div class="stack text-side">
          <Card title="YAML" end={<TextNote session={session} />} flush>
            <YamlPane
              yaml={draft.yaml}
              marks={isChecked(draft) ? marks : []}
              readOnly={!editable}
              onType={session.type}
              area={area}
            />
            <Problems marks={marks} checked={isChecked(draft)} onGo={go} />
          </Card>
          <TryBox draft={draft} uuid={session.stored?.uuid ?? null} />
        </div>
      </div>
      <Conflict session={session} onOverwrite={() => save(true)} />
    </div>
  );
}

function TextNote({ session: { draft } }: { session: Session }) {
  return (
    <span class="small faint">
      {draft.side === 'yaml' ? 'saved as typed, comments kept' : 'written from the form'}
    </span>
  );
}

type FormSideProps = { session: Session; editable: boolean; marks: Mark[]; library: TaskPreset[] };

function FormSide({ session, editable, marks, library }: FormSideProps) {
  const { draft } = session;
  const unreadable = isChecked(draft) && draft.side === 'yaml' && draft.unreadable;
  const models = catalog.value?.models.map(({ name }) => name) ?? [];
  return (
    <Card title="Form" end={<FormNote session={session} editable={editable} />} class="form-side">
      {unreadable && (
        <p class="note warn">
          The text cannot be read as a router, so the form shows the last one that could. Mend the text first.
        </p>
      )}
      {draft.form && (
        <fieldset disabled={!editable || unreadable}>
          <legend class="unseen">Router</legend>
          <RouterForm
            form={draft.form}
            marks={marks}
            models={models}
            library={library}
            onForm={session.form}
          />
        </fieldset>
      )}
      {!draft.form && !unreadable && <Loading lines={6} />}
    </Card>
  );
}

const FormNote = ({ session, editable }: { session: Session; editable: boolean }) =>
  editable && wouldDropComments(session.draft) ? (
    <span class="small faint">an edit here drops the text's comments</span>
  ) : null;

type BarProps = {
  session: Session;
  editable: boolean;
  dirty: boolean;
  onSave: () => void;
  onSaved: (name: string | null) => void;
};

function Bar({ session, editable, dirty, onSave, onSaved }: BarProps) {
  const { draft, stored, saving } = session;
  const name = draft.form?.name || 'New router';
  return (
    <header class="editor-bar">
      <h2>{name}</h2>
      {!editable && <Tag>read-only</Tag>}
      {editable && !stored && <Tag tone="accent">new</Tag>}
      {editable && dirty && <Tag tone="warn">not saved</Tag>}
      {editable && (
        <div class="row push">
          {stored && <Delete session={session} name={name} onGone={() => onSaved(null)} />}
          {stored && (
            <button type="button" class="button" disabled={!dirty || saving} onClick={session.reload}>
              Discard
            </button>
          )}
          <button
            type="button"
            class="button primary"
            title="Ctrl+S"
            disabled={!dirty || saving || !canSave(draft)}
            onClick={onSave}
          >
            {saving ? 'Saving…' : 'Save'}
          </button>
        </div>
      )}
    </header>
  );
}

function Delete({ session, name, onGone }: { session: Session; name: string; onGone: () => void }) {
  const [open, setOpen] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const gone = async () => {
    const { stored } = session;
    if (!stored) return;
    try {
      await remove(stored.uuid, stored.etag);
      toast(`${name} is deleted.`);
      onGone();
    } catch (problem) {
      setError(problem);
    }
  };
  return (
    <>
      <button
        type="button"
        class="button quiet"
        onClick={() => {
          setError(null);
          setOpen(true);
        }}
      >
        <Icon name="trash" /> Delete
      </button>
      <Dialog title={`Delete ${name}?`} open={open} onClose={() => setOpen(false)}>
        <div class="stack">
          <p>
            Its file is removed, and requests to <code>router:{name}</code> are answered 404 from then on.
            This cannot be undone here.
          </p>
          {error !== null && <ErrorNote error={error} />}
        </div>
        <footer>
          <button type="button" class="button" onClick={() => setOpen(false)}>
            Keep it
          </button>
          <button type="button" class="button danger" onClick={gone}>
            Delete the router
          </button>
        </footer>
      </Dialog>
    </>
  );
}

function Conflict({ session, onOverwrite }: { session: Session; onOverwrite: () => void }) {
  const { conflict, settleConflict, reload } = session;
  return (
    <Dialog title="Somebody else changed this router" open={conflict !== null} onClose={settleConflict}>
      <div class="stack">
        <p>It was saved elsewhere after it was opened here. Yours is not saved yet. Theirs is:</p>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <section class="theirs" tabIndex={0} aria-label="Their text">
          <pre>{conflict?.yaml}</pre>
        </section>
      </div>
      <footer>
        <button type="button" class="button" onClick={settleConflict}>
          Keep editing
        </button>
        <button type="button" class="button" onClick={reload}>
          Take theirs, drop mine
        </button>
        <button type="button" class="button danger" onClick={onOverwrite}>
          Overwrite with mine
        </button>
      </footer>
    </Dialog>
  );
}
