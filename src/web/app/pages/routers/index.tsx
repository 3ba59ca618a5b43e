/** `/routers`: the routers that serve, and one of them, or a new one, to read, try and change. */
import { useEffect, useState } from 'preact/hooks';
import {
  type CatalogRouter,
  catalog,
  catalogError,
  follow,
  loadCatalog,
  type RouterDraft,
  type RouterPreset,
  type TaskPreset,
} from '../../api';
import { fragment, leaving, setFragment } from '../../nav';
import { Empty, ErrorNote, Icon, Loading, Tag } from '../../ui/parts';
import { whileVisible } from '../../ui/visible';
import { Editor } from './editor';
import type { Source } from './session';
import { Start } from './start';
import * as store from './store';
import './routers.css';

/** What is open in the editor; `id` rises, so that the next one starts afresh. */
type Opened = { id: number; name: string | null; source: Source; editable: boolean };

const LOSE = 'What you changed is not saved. Leave it?';
let lastId = 0;

export default function Routers() {
  const [opened, setOpened] = useState<Opened | null>(null);
  const [dirty, setDirty] = useState(false);
  const { presets, tasks } = useLibrary();
  useGuard(dirty);
  useEffect(() => whileVisible(() => follow({ catalog: () => loadCatalog() })), []);
  const routers = catalog.value?.routers;
  const wanted = fragment.value.get('router');
  const isNew = fragment.value.has('new');

  const open = (router: CatalogRouter) => {
    setDirty(false);
    setOpened({ id: ++lastId, name: router.name, source: { uuid: router.uuid }, editable: router.editable });
  };
  const start = (form: RouterDraft) => {
    setDirty(false);
    setOpened({ id: ++lastId, name: null, source: { form }, editable: true });
  };
  const choose = (name: string | null) => {
    if (name !== null && name === opened?.name) return;
    if (dirty && !confirm(LOSE)) return;
    setDirty(false);
    setOpened(null);
    setFragment({ router: name, new: name === null ? '1' : null });
  };
  // The address says which one; the first where it says none.
  useEffect(() => {
    if (!routers || isNew) return;
    const router = routers.find(({ name }) => name === wanted) ?? (wanted === null ? routers[0] : undefined);
    if (!router || opened?.name === router.name) return;
    // What is open stays while the address names nothing: the first router may be another one by now.
    if (opened && wanted === null) return;
    if (dirty && opened && !confirm(LOSE))
      setFragment({ router: opened.name, new: opened.name ? null : '1' });
    else open(router);
  }, [routers, wanted, isNew]);
  const saved = (name: string | null) => {
    setDirty(false);
    if (name === null) {
      setOpened(null);
      loadCatalog().then(() => setFragment({ router: null, new: null }));
    } else {
      setOpened(before => before && { ...before, name });
      setFragment({ router: name, new: null });
    }
  };

  if (!routers)
    return catalogError.value ? (
      <ErrorNote error={catalogError.value} retry={loadCatalog} />
    ) : (
      <Loading lines={6} what="Routers" />
    );
  return (
    <>
      <div class="page-head">
        <h1>Routers</h1>
        <p>Which task a request is, and which models answer it. A saved change serves within a second.</p>
      </div>
      <div class="routers">
        <List
          routers={routers}
          current={isNew ? null : (opened?.name ?? null)}
          dirty={dirty}
          isNew={isNew}
          onChoose={choose}
        />
        <div class="routers-main">
          {isNew && !opened && (
            <Start
              presets={presets}
              taken={new Set(routers.map(({ name }) => name))}
              models={catalog.value?.models.map(({ name }) => name) ?? []}
              onStart={start}
            />
          )}
          {opened && (
            <Editor
              key={opened.id}
              source={opened.source}
              editable={opened.editable}
              library={tasks}
              onDirty={setDirty}
              onSaved={saved}
            />
          )}
          {!opened && !isNew && (
            <Empty title={wanted ? `There is no router called ${wanted}` : 'No routers yet'}>
              <p>A router names tasks in plain words and the models for each.</p>
            </Empty>
          )}
        </div>
      </div>
    </>
  );
}

function useLibrary() {
  const [presets, setPresets] = useState<RouterPreset[]>([]);
  const [tasks, setTasks] = useState<TaskPreset[]>([]);
  useEffect(() => {
    // Without them the editor still edits; it has nothing to pick from.
    store.presets().then(setPresets, () => {});
    store.tasks().then(setTasks, () => {});
  }, []);
  return { presets, tasks };
}

/** Asks before what was typed is lost, by a link here or by closing the page. */
function useGuard(dirty: boolean) {
  useEffect(() => {
    if (!dirty) return;
    const unload = (event: Event) => event.preventDefault();
    addEventListener('beforeunload', unload);
    leaving.guard = () => confirm(LOSE);
    return () => {
      removeEventListener('beforeunload', unload);
      leaving.guard = null;
    };
  }, [dirty]);
}

type ListProps = {
  routers: CatalogRouter[];
  current: string | null;
  dirty: boolean;
  isNew: boolean;
  onChoose: (name: string | null) => void;
};

function List({ routers, current, dirty, isNew, onChoose }: ListProps) {
  return (
    <nav class="router-list" aria-label="Routers">
      <ul>
        {routers.map(({ name, description, tasks, editable }) => (
          <li key={name}>
            <button
              type="button"
              aria-current={name === current ? 'true' : undefined}
              onClick={() => onChoose(name)}
            >
              <span class="row">
                <b>{name}</b>
                {name === current && dirty && <Tag tone="warn">edited</Tag>}
                {!editable && <Tag>read-only</Tag>}
              </span>
              <span class="small muted">{description}</span>
              <span class="small faint">{tasks.length === 1 ? '1 task' : `${tasks.length} tasks`}</span>
            </button>
          </li>
        ))}
      </ul>
      <button
        type="button"
        class="button"
        aria-current={isNew ? 'true' : undefined}
        onClick={() => onChoose(null)}
      >
        <Icon name="plus" /> New router
      </button>
    </nav>
  );
}
