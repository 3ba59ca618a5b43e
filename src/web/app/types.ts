/** What the admin listener says. Amounts are US dollars, times milliseconds unless the name says otherwise. */

export type Fault = { file: string | null; line: number; column: number; path: string; message: string };
export type Warning = { path: string; tasks: string[]; message: string; line?: number; column?: number };

export type Reason = 'matched' | 'no_match' | 'pinned' | 'continued' | 'unclassified' | 'direct';

export type CostParts = {
  input_usd: number;
  cache_read_usd: number;
  cache_write_usd: number;
  output_usd: number;
  input_tokens: number;
  cached_tokens: number;
  output_tokens: number;
};

/** A model of the plan; those ruled out have only `model`, `rank: null` and `ruled_out`. */
export type Candidate = {
  model: string;
  rank: number | null;
  ruled_out?: string;
  expected_cost_usd?: number | null;
  expected_ttft_ms?: number | null;
  samples?: number;
  why?: string;
  unless?: string | null;
  cost?: CostParts | null;
  ttft_interval_ms?: [number, number] | null;
  failing?: boolean;
  quality?: number | null;
  loss?: string[];
};

export type Decision = {
  router: string | null;
  generation: number;
  task: string | null;
  reason: Reason;
  confidence: number | null;
  threshold: number | null;
  truncated: boolean;
  tasks: { name: string; probability: number | null }[];
  none: number | null;
  candidates: Candidate[];
  fallbacks: string[];
  session: { id: string | null; pinned: boolean };
  input_tokens: number;
  timings_us: { read: number | null; classify: number | null; rank: number | null };
};

export type Price = {
  input: number | null;
  cache_read: number | null;
  cache_write: number | null;
  output: number | null;
  source: string;
  age_s: number | null;
};

export type CatalogModel = {
  name: string;
  providers: string[];
  price: Price | null;
  context_window: number | null;
  max_output: number | null;
  modalities: string[];
};

export type CatalogTask = {
  name: string;
  description: string;
  examples: number;
  prefer: string;
  models: string[];
};

export type CatalogRouter = {
  name: string;
  uuid: string;
  description: string;
  editable: boolean;
  threshold: number | null;
  tasks: CatalogTask[];
  fallback_models: string[];
};

export type Catalog = {
  generation: number;
  version: string;
  simulated: boolean;
  data_plane: string;
  classifier: null | { name: string; threshold: number; kind: 'onnx' | 'chat' };
  models: CatalogModel[];
  routers: CatalogRouter[];
};

export type Overview = {
  now: string;
  started: string;
  uptime_s: number;
  generation: number;
  draining: boolean;
  in_flight: number;
  requests: number;
  outcomes: { ok: number; rejected: number; error: number; cancelled: number };
  reasons: Record<Reason, number>;
  models: {
    model: string;
    requests: number;
    input_tokens: number;
    output_tokens: number;
    cost_usd: number | null;
    ttft_p50_ms: number | null;
    ttft_p95_ms: number | null;
  }[];
  tasks: {
    router: string;
    task: string | null;
    requests: number;
    models: { model: string; requests: number }[];
  }[];
  attempts: number;
  failovers: { cause: string; count: number }[];
  fallback_answers: number;
  cost_usd: number;
  cost_unknown_requests: number;
  cost_if: {
    dearest: { model: string | null; cost_usd: number } | null;
    compare: { model: string; cost_usd: number } | null;
  };
  cost_compared_usd: number;
  targets: {
    model: string;
    provider: string;
    endpoint: string;
    breaker: 'closed' | 'half_open' | 'open';
    cooldown_s: number | null;
    ttft_ms: number | null;
    samples: number;
  }[];
  prices: { source: string; age_s: number | null; models: number; fault: string | null }[];
  series: {
    step_s: number;
    from: string;
    points: {
      t: number;
      requests: number;
      errors: number;
      cost_usd: number;
      ttft: Record<string, number | null>;
    }[];
  };
};

export type Usage = {
  input: number;
  cache_read: number;
  cache_write: number;
  output: number;
  reasoning: number;
  estimated: boolean;
};

export type Cost = {
  input: number;
  cache_read: number;
  cache_write: number;
  output: number;
  total: number;
};

export type RequestRecord = {
  id: string;
  seq: number;
  at: string;
  state: 'open' | 'done';
  key: string | null;
  source: 'data_plane' | 'playground';
  router: string | null;
  task: string | null;
  reason: Reason | null;
  confidence: number | null;
  asked: string | null;
  model: string | null;
  provider: string | null;
  endpoint: string | null;
  attempts: number;
  status: number | null;
  code: string | null;
  outcome: 'ok' | 'rejected' | 'error' | 'cancelled' | null;
  streamed: boolean;
  dry_run: boolean;
  usage: Usage | null;
  cost: Cost | null;
  ttft_ms: number | null;
  duration_ms: number | null;
  overhead_ms: number | null;
  generation: number;
  decision?: Decision | null;
};

export type Prefer = 'none' | 'cheapest' | 'fastest' | 'optimal';

export type Policy = {
  task_slug?: string;
  custom_task?: { name: string; description?: string; examples?: string[] };
  models: string[];
  selection_policy?: { prefer: Prefer };
};

export type RouterConfig = {
  policies: Policy[];
  fallback_models: string[];
  threshold?: number;
  failover?: Record<string, unknown>;
  switch_budget?: number;
};

/** A router as it is sent: what the server adds is in `ModelRouter`. */
export type RouterDraft = { name: string; description: string; config: RouterConfig };

export type ModelRouter = RouterDraft & { uuid: string; created_at: string; updated_at: string };

export type RouterPreset = {
  slug: string;
  display_name: string;
  short_description: string;
  long_description: string;
  config: RouterConfig;
};

export type TaskPreset = {
  task_slug: string;
  name: string;
  category: string;
  description: string;
  models: string[];
  tags: string[];
  selection_policy: { prefer: Prefer };
};

export type DraftReply = {
  yaml: string;
  /** The draft's own file: faults name theirs. */
  file?: string | null;
  router: RouterDraft | null;
  faults: Fault[];
  warnings: Warning[];
};
