/** What to do about an error of a side, by its code. */
const ADVICE: Record<string, string> = {
  unreachable: 'Start it again, or look at its log; then send the prompt once more.',
  model_not_found: 'The catalog has changed: choose another model or router above.',
  context_length_exceeded: 'Shorten the conversation, or choose a model with a larger context window.',
  unsupported_by_model: 'No candidate can take this kind of request: the decision card names the gates.',
  not_allowed: 'The models behind this name are not allowed here: look at the keys in the configuration.',
  no_healthy_target:
    'Every candidate is cooling down or its breaker is open: wait a few seconds; the dashboard shows them.',
  upstream_error: 'No provider answered. The dashboard shows the failed attempts by cause; the log has more.',
  upstream_auth: 'The providers refused their keys: check the credentials in the configuration.',
  upstream_timeout: 'Nobody answered in time: try again, or raise `timeouts.total`.',
  incomplete: 'The provider broke off: try again; `failover.rescue: continue` lets another model finish.',
  request_too_large: 'The request is larger than `max_body` allows: shorten it, or raise `max_body`.',
  request_timeout: 'The request did not arrive whole in time: try again.',
  overloaded: 'Too much at once: wait a moment.',
  unauthorized: 'Reload the page and give the admin key.',
};

export function advice(code: string, status: number): string {
  const known = ADVICE[code];
  if (known) return known;
  if (status === 429) return 'The provider wants a pause: wait a moment, then try again.';
  if (status === 413) return 'The request is larger than `max_body` allows.';
  if (status >= 400 && status < 500) return 'The request itself was refused: change it as the message says.';
  return 'Try again; if it stays, the log has the request id.';
}
