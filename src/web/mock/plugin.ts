/**
 * Stands in for the admin listener while the pages are developed: `POINTSMAN_MOCK=1 npm run dev` beside a running
 * `pointsman demo` (its data plane answers, `POINTSMAN_DATA`, else http://127.0.0.1:8080). Never built in.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Plugin } from 'vite';
import type { Catalog, Decision, RequestRecord } from '../app/types';

const data = process.env.POINTSMAN_DATA ?? 'http://127.0.0.1:8080';
const PRICES: Record<string, [number, number, number, number]> = {
  'gpt-5.2': [1.75, 0.175, 1.75, 14],
  'gpt-5.2-mini': [0.25, 0.025, 0.25, 2],
  'claude-sonnet-4-6': [3, 0.3, 3.75, 15],
  'glm-5': [0.3, 0.3, 0.3, 1],
};
const records = new Map<string, RequestRecord>();

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
};

function answer(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(value));
}

async function decide(body: string, affinity: string): Promise<Decision> {
  const headers = {
    'content-type': 'application/json',
    ...(affinity ? { 'x-model-affinity': affinity } : {}),
  };
  return (await fetch(`${data}/routing/v1/chat/completions`, { method: 'POST', headers, body })).json();
}

async function catalog(): Promise<Catalog> {
  const { data: names } = (await (await fetch(`${data}/v1/models`)).json()) as { data: { id: string }[] };
  const routers = [];
  for (const { id } of names.filter(one => one.id.startsWith('router:'))) {
    const decision = await decide(
      JSON.stringify({ model: id, messages: [{ role: 'user', content: 'hi' }] }),
      '',
    );
    routers.push({
      name: id.slice(7),
      uuid: id,
      description: `The ${id.slice(7)} router.`,
      editable: true,
      threshold: null,
      tasks: decision.tasks.map(task => ({
        name: task.name,
        description: '',
        examples: 0,
        prefer: 'none',
        models: [],
      })),
      fallback_models: decision.fallbacks,
    });
  }
  return {
    generation: 1,
    version: '0.0.0-mock',
    simulated: true,
    data_plane: data,
    classifier: { name: 'mock', threshold: 0.25, kind: 'onnx' },
    models: names
      .filter(one => !one.id.startsWith('router:'))
      .map(({ id }) => {
        const [input, cache_read, cache_write, output] = PRICES[id] ?? [null, null, null, null];
        const price = { input, cache_read, cache_write, output, source: 'configured', age_s: null };
        return {
          name: id,
          providers: ['mock'],
          price,
          context_window: 200000,
          max_output: null,
          modalities: ['text'],
        };
      }),
    routers,
  };
}

async function chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  const id = String(request.headers['x-request-id'] ?? 'none');
  const affinity = String(request.headers['x-model-affinity'] ?? '');
  const decision = await decide(body, affinity);
  const record: RequestRecord = {
    id,
    seq: records.size,
    at: new Date().toISOString(),
    state: 'open',
    key: null,
    source: 'playground',
    router: decision.router,
    task: decision.task,
    reason: decision.reason,
    confidence: decision.confidence,
    asked: null,
    model: null,
    provider: null,
    endpoint: null,
    attempts: 1,
    status: null,
    code: null,
    outcome: null,
    streamed: true,
    dry_run: false,
    usage: null,
    cost: null,
    ttft_ms: null,
    duration_ms: null,
    overhead_ms: null,
    generation: 1,
    decision,
  };
  records.set(id, record);
  const stop = new AbortController();
  response.on('close', () => stop.abort());
  try {
    const headers = {
      'content-type': 'application/json',
      'x-request-id': id,
      ...(affinity ? { 'x-model-affinity': affinity } : {}),
    };
    const upstream = await fetch(`${data}/v1/chat/completions`, {
      method: 'POST',
      headers,
      body,
      signal: stop.signal,
    });
    record.model = upstream.headers.get('x-pointsman-model');
    record.status = upstream.status;
    const kept = [...upstream.headers].filter(
      ([name]) => !['transfer-encoding', 'connection'].includes(name),
    );
    response.writeHead(upstream.status, Object.fromEntries(kept));
    const decoder = new TextDecoder();
    let text = '';
    for await (const piece of upstream.body ?? []) {
      text += decoder.decode(piece as Uint8Array, { stream: true });
      response.write(piece);
    }
    const usage = /"usage":(\{.*?\}\s*)\}\s*\n\ndata: \[DONE\]/s.exec(text);
    const told = usage?.[1] ? JSON.parse(usage[1]) : { prompt_tokens: 20, completion_tokens: 60 };
    const cached = told.prompt_tokens_details?.cached_tokens ?? 0;
    record.usage = {
      input: told.prompt_tokens,
      cache_read: cached,
      cache_write: 0,
      output: told.completion_tokens,
      reasoning: 0,
      estimated: false,
    };
    const price = PRICES[record.model ?? ''] ?? [0, 0, 0, 0];
    const cost = {
      input: ((told.prompt_tokens - cached) * price[0]) / 1e6,
      cache_read: (cached * price[1]) / 1e6,
      cache_write: 0,
      output: (told.completion_tokens * price[3]) / 1e6,
    };
    record.cost = { ...cost, total: cost.input + cost.cache_read + cost.output };
    record.state = 'done';
    record.outcome = 'ok';
  } catch {
    record.state = 'done';
    record.outcome = 'cancelled';
  }
  response.end();
}

export function mock(): Plugin {
  return {
    name: 'mock',
    apply: 'serve',
    configureServer: server => {
      server.middlewares.use(async (request, response, next) => {
        const url = new URL(request.url ?? '/', 'http://mock');
        if (url.pathname === '/api/catalog') return answer(response, 200, await catalog());
        if (url.pathname === '/api/chat') return chat(request, response);
        if (url.pathname === '/api/route')
          return answer(response, 200, await decide(await bodyOf(request), ''));
        if (url.pathname === '/api/pins') return response.writeHead(204).end();
        if (url.pathname.startsWith('/api/requests/')) {
          const record = records.get(url.pathname.slice('/api/requests/'.length));
          if (record) return answer(response, 200, record);
        }
        if (/^\/(api|v2)\//.test(url.pathname))
          return answer(response, 404, {
            error: { code: 'not_found', message: 'The mock has no such thing.' },
          });
        next();
      });
    },
  };
}
