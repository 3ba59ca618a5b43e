/**
 * What the dashboard follows: the overview, the last requests, and whether they are up to date. Events come over one
 * stream; while it is broken, the same is asked for now and then, so that a full house of streams still shows figures.
 */
import { useEffect, useState } from 'preact/hooks';
import { follow, get, loadCatalog, type Overview, type RequestRecord } from '../../api';
import { whileVisible } from '../../ui/visible';
import { MOST_RECORDS, merged } from './records';

export type State = 'connecting' | 'live' | 'reconnecting';

export type Live = {
  state: State;
  overview: Overview | null;
  records: RequestRecord[];
  /** When the last overview came, in Unix milliseconds. */
  heard: number | null;
};

/** Busy traffic must not paint for each request: news are gathered for this long. */
const GATHER_MS = 200;
const POLL_MS = 5000;

const START: Live = { state: 'connecting', overview: null, records: [], heard: null };

export function useLive(compare: string): Live {
  const [live, setLive] = useState(START);
  useEffect(() => {
    const change: Change = apply => setLive(before => ({ ...before, ...apply(before) }));
    return whileVisible(() => watch(compare, change));
  }, [compare]);
  return live;
}

type Change = (apply: (before: Live) => Partial<Live>) => void;

function watch(compare: string, change: Change): () => void {
  const stop = new AbortController();
  const gathered = gatherer(news => change(({ records }) => ({ records: merged(records, news) })));
  const overview = (news: Overview) => change(() => ({ overview: news, heard: Date.now() }));
  const last = () =>
    get<{ requests: RequestRecord[] }>(`/api/requests?limit=${MOST_RECORDS}`, stop.signal)
      .then(({ requests }) => gathered.add(...requests))
      .catch(() => {});
  const query = compare ? `?compare=${encodeURIComponent(compare)}` : '';
  const ask = () =>
    get<Overview>(`/api/overview${query}`, stop.signal)
      .then(overview)
      .catch(() => {});
  let waiting = false;
  const timer = setInterval(() => {
    if (waiting) ask().then(last);
  }, POLL_MS);
  const unfollow = follow(
    {
      overview,
      request: record => gathered.add(record),
      catalog: () => loadCatalog(),
      state: state => {
        waiting = state === 'waiting';
        change(() => ({ state: waiting ? 'reconnecting' : 'live' }));
        if (!waiting) last();
      },
    },
    compare || undefined,
  );
  return () => {
    stop.abort();
    clearInterval(timer);
    gathered.stop();
    unfollow();
  };
}

function gatherer(deliver: (records: RequestRecord[]) => void) {
  let waiting: RequestRecord[] = [];
  let timer: ReturnType<typeof setTimeout> | null = null;
  const flush = () => {
    timer = null;
    const news = waiting;
    waiting = [];
    deliver(news);
  };
  return {
    add(...records: RequestRecord[]) {
      waiting.push(...records);
      timer ??= setTimeout(flush, GATHER_MS);
    },
    stop() {
      if (timer !== null) clearTimeout(timer);
    },
  };
}
