/**
 * The one way to the server. The admin key lives in this module's memory and nowhere else; whatever answers 401 makes
 * the page ask for it and is then sent again.
 */
import { signal } from '@preact/signals';
import { eventsOf } from './sse';
import type { Catalog, Fault, Overview, RequestRecord } from './types';

export * from './types';

/** What went wrong, in words; `status` 0 means that no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly faults: Fault[] = [],
    readonly requestId: string | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** Set while the server wants a key: the shell shows the prompt and calls back. */
export const keyWanted = signal<null | { wrong: boolean; give: (key: string | null) => void }>(null);

let key: string | null = null;

/** Whether a key is sent: a plain link to what needs one would be refused. */
export const sendsKey = (): boolean => key !== null;

let asking: Promise<boolean> | null = null;

/** Whoever would not give the key is not asked again by what goes on by itself, only by what they do. */
let declined = false;

/** Asks once, however many requests wait for it. False: the person would rather not. */
function askForKey(tried: string | null): Promise<boolean> {
  if (key !== tried) return Promise.resolve(true);
  if (declined) return Promise.resolve(false);
  asking ??= new Promise<boolean>(resolve => {
    keyWanted.value = {
      wrong: tried !== null,
      give: given => {
        key = given ?? key;
        keyWanted.value = null;
        asking = null;
        declined = given === null;
        resolve(given !== null);
      },
    };
  });
  return asking;
}

/** `fetch` with the key, asking for it where one is wanted. The answer may still be an error. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  if (init.body != null) declined = false;
  for (;;) {
    const tried = key;
    const headers = new Headers(init.headers);
    if (tried !== null) headers.set('authorization', `Bearer ${tried}`);
    if (init.body != null) headers.set('content-type', 'application/json');
    let response: Response;
    try {
      response = await fetch(path, { ...init, headers, cache: 'no-store', credentials: 'omit' });
    } catch (cause) {
      if (init.signal?.aborted) throw cause;
      throw new ApiError(0, 'unreachable', 'Pointsman does not answer. Is it still running?');
    }
    if (response.status !== 401 || response.headers.has('x-pointsman-attempts')) return response;
    if (!(await askForKey(tried))) return response;
  }
}

/** The error that an answer carries, whatever its shape. */
export async function errorOf(response: Response): Promise<ApiError> {
  const id = response.headers.get('x-request-id');
  const text = await response.text().catch(() => '');
  try {
    const { error } = JSON.parse(text) as {
      error: { code?: string; type?: string; message: string; faults?: Fault[] };
    };
    const code = error.code ?? error.type ?? `http_${response.status}`;
    return new ApiError(response.status, code, error.message, error.faults ?? [], id);
  } catch {
    const message = text.trim().slice(0, 300) || `The server answered ${response.status}.`;
    return new ApiError(response.status, `http_${response.status}`, message, [], id);
  }
}

export type Reply<T> = { value: T; etag: string | null };

/** JSON in, JSON out; throws `ApiError` for anything but success. */
export async function request<T>(
  method: string,
  path: string,
  body?: unknown,
  more: { ifMatch?: string | null; signal?: AbortSignal } = {},
): Promise<Reply<T>> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (more.ifMatch) headers['if-match'] = more.ifMatch;
  const response = await send(path, {
    method,
    headers,
    body: body === undefined ? null : JSON.stringify(body),
    signal: more.signal ?? null,
  });
  if (!response.ok) throw await errorOf(response);
  const text = await response.text();
  return { value: (text ? JSON.parse(text) : null) as T, etag: response.headers.get('etag') };
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> =>
  request<T>('GET', path, undefined, signal ? { signal } : {}).then(reply => reply.value);
export const post = <T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> =>
  request<T>('POST', path, body, signal ? { signal } : {}).then(reply => reply.value);

/** The models and routers that serve now; `loadCatalog` brings it up to date. */
export const catalog = signal<Catalog | null>(null);
export const catalogError = signal<ApiError | null>(null);

export async function loadCatalog(): Promise<void> {
  declined = false;
  try {
    catalog.value = await get<Catalog>('/api/catalog');
    catalogError.value = null;
  } catch (error) {
    catalogError.value = asApiError(error);
  }
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, 'unexpected', error instanceof Error ? error.message : String(error));
}

export type Live = {
  overview?: (overview: Overview) => void;
  request?: (record: RequestRecord) => void;
  catalog?: (change: { generation: number }) => void;
  /** Whether events arrive at present. */
  state?: (state: 'live' | 'waiting') => void;
};

/** Follows `/api/events` and comes back after a break, ever more patiently. Returns what ends it. */
export function follow(live: Live, compare?: string): () => void {
  const stop = new AbortController();
  const path = `/api/events${compare ? `?compare=${encodeURIComponent(compare)}` : ''}`;
  const run = async () => {
    for (let broken = 0; !stop.signal.aborted; broken++) {
      try {
        const response = await send(path, { signal: stop.signal, headers: { accept: 'text/event-stream' } });
        if (!response.ok) throw await errorOf(response);
        live.state?.('live');
        for await (const { event, data } of eventsOf(response)) {
          broken = 0;
          const value = JSON.parse(data);
          if (event === 'overview') live.overview?.(value);
          else if (event === 'request') live.request?.(value);
          else if (event === 'catalog') live.catalog?.(value);
        }
      } catch {
        // Told below, by state; the next attempt says more.
      }
      if (stop.signal.aborted) return;
      live.state?.('waiting');
      await pause(Math.min(15_000, 500 * 2 ** Math.min(broken, 5)), stop.signal);
    }
  };
  run();
  return () => stop.abort();
}

export const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    const now = () => {
      clearTimeout(timer);
      resolve();
    };
    signal?.addEventListener('abort', now, { once: true });
  });
