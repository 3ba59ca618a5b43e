/** Routers as the server keeps them: their text, its version, and what may be done to it. */
import {
  type DraftReply,
  get,
  type ModelRouter,
  post,
  type RouterPreset,
  request,
  type TaskPreset,
} from '../../api';
import type { Decision } from '../../types';
import type { Tidy } from './edit';

const ROUTERS = '/v2/gen-ai/models/routers';

/** A router's text and the version that it had when it was read. */
export type Stored = { uuid: string; yaml: string; etag: string | null };

export async function read(uuid: string, signal?: AbortSignal): Promise<Stored> {
  const path = `${ROUTERS}/${encodeURIComponent(uuid)}?format=yaml`;
  const { value, etag } = await request<{ yaml: string }>('GET', path, undefined, signal ? { signal } : {});
  return { uuid, yaml: value.yaml, etag };
}

export type Saved = { router: ModelRouter; etag: string | null };

/** Saves the text as it was typed. Without an `etag` it replaces whatever is there. */
export async function save(uuid: string | null, yaml: string, etag: string | null): Promise<Saved> {
  const { value, etag: now } = uuid
    ? await request<{ model_router: ModelRouter }>(
        'PUT',
        `${ROUTERS}/${encodeURIComponent(uuid)}`,
        { yaml },
        {
          ifMatch: etag,
        },
      )
    : await request<{ model_router: ModelRouter }>('POST', ROUTERS, { yaml });
  return { router: value.model_router, etag: now };
}

export const remove = (uuid: string, etag: string | null) =>
  request<null>('DELETE', `${ROUTERS}/${encodeURIComponent(uuid)}`, undefined, { ifMatch: etag });

/** The router that a draft is of: null for a new one. Without it a draft with another name would be another router. */
type Of = { uuid: string | null };

export const draft = (question: ({ yaml: string } | { router: Tidy }) & Of, signal: AbortSignal) =>
  post<DraftReply>('/api/routers/draft', question, signal);

export const tried = (question: { yaml: string; text: string } & Of, signal: AbortSignal) =>
  post<{ decision: Decision }>('/api/routers/try', question, signal).then(reply => reply.decision);

/** More than ship, so that they come at once. */
const ALL = 'per_page=1000';

export const presets = () =>
  get<{ presets: RouterPreset[] }>(`${ROUTERS}/presets?${ALL}`).then(reply => reply.presets);

export const tasks = () =>
  get<{ tasks: TaskPreset[] }>(`${ROUTERS}/tasks/presets?${ALL}`).then(reply => reply.tasks);
