/** The first request, as a command that works as pasted. */
import type { Catalog } from '../../api';

const SENTENCE = 'This loop never ends, why? while i < 10: print(i)';

export function firstRequest({ data_plane, routers, models }: Catalog): string {
  const router = routers.find(({ name }) => name === 'software-engineering') ?? routers[0];
  const model = router ? `router:${router.name}` : (models[0]?.name ?? '');
  const body = JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: SENTENCE }] });
  return [
    `curl -sN ${data_plane.replace(/\/+$/, '')}/v1/chat/completions \\`,
    "  -H 'content-type: application/json' \\",
    `  -d '${body.replaceAll("'", "'\\''")}'`,
  ].join('\n');
}
