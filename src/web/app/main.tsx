/** The shell: header, the page that the path names, the key prompt and the messages. */
import './ui/tokens.css';
import './ui/base.css';
import { useSignal } from '@preact/signals';
import { type ComponentType, render } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { catalog, loadCatalog } from './api';
import { navigate, path } from './nav';
import { KeyPrompt } from './ui/key';
import { Empty, ErrorNote, Loading, Tag } from './ui/parts';
import { ThemeToggle } from './ui/theme';
import { Toasts } from './ui/toast';

type Page = { name: string; load: () => Promise<{ default: ComponentType }> };
const PAGES: Record<string, Page> = {
  '/': { name: 'Dashboard', load: () => import('./pages/dashboard') },
  '/playground': { name: 'Playground', load: () => import('./pages/playground') },
  '/routers': { name: 'Routers', load: () => import('./pages/routers') },
};

/** A plain click on a link within these pages stays in them. */
function stay(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey)
    return;
  const link = (event.target as Element).closest('a');
  if (!link || link.target || link.origin !== location.origin || !PAGES[link.pathname]) return;
  event.preventDefault();
  navigate(link.pathname + link.hash);
}

function Header() {
  const serving = catalog.value;
  return (
    <header class="header">
      <a class="brand" href="/">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path
            d="M10 29V3M10 21c0-8 13-7 13-18"
            fill="none"
            stroke="var(--accent)"
            stroke-width="3.6"
            stroke-linecap="round"
          />
          <circle cx="23" cy="4" r="3.4" fill="var(--accent)" />
        </svg>
        Pointsman
      </a>
      <nav class="nav" aria-label="Pages">
        {Object.entries(PAGES).map(([to, page]) => (
          <a key={to} href={to} aria-current={path.value === to ? 'page' : undefined}>
            {page.name}
          </a>
        ))}
      </nav>
      <div class="end">
        {serving?.simulated && (
          <Tag tone="warn" title="Providers, prices and speeds are made up by `pointsman demo`">
            simulated
          </Tag>
        )}
        {serving && (
          <span class="faint small wide-only">
            {serving.version} · catalog {serving.generation}
          </span>
        )}
        <ThemeToggle />
      </div>
    </header>
  );
}

function Body() {
  const shown = useSignal<{ path: string; Page: ComponentType } | null>(null);
  const failed = useSignal<unknown>(null);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const page = PAGES[path.value];
  useEffect(() => {
    failed.value = null;
    if (!page) return;
    document.title = `${page.name} · Pointsman`;
    const wanted = path.value;
    page.load().then(
      loaded => {
        if (path.peek() !== wanted) return;
        shown.value = { path: wanted, Page: loaded.default };
        // After a change of page the focus would be left on what is gone.
        if (!first.current) main.current?.focus({ preventScroll: true });
        first.current = false;
      },
      error => {
        failed.value = error;
      },
    );
  }, [page]);
  const Shown = shown.value?.path === path.value ? shown.value.Page : null;
  return (
    <main class="main" id="main" ref={main} tabIndex={-1}>
      {!page && (
        <Empty title="There is no such page">
          <a href="/">To the dashboard</a>
        </Empty>
      )}
      {failed.value !== null && (
        <ErrorNote
          error={failed.value}
          advice="The page could not be loaded."
          retry={() => location.reload()}
        />
      )}
      {page && failed.value === null && (Shown ? <Shown /> : <Loading lines={6} what={page.name} />)}
    </main>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function App() {
  useEffect(() => {
    loadCatalog();
    addEventListener('click', stay);
    return () => removeEventListener('click', stay);
  }, []);
  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: it goes to an anchor; by script, as the fragment holds settings */}
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Header />
      <Body />
      <Toasts />
      <KeyPrompt />
    </>
  );
}

const root = document.getElementById('app');
if (root) render(<App />, root);
