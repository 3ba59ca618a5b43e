/** What a newcomer sees before the first request: what to send, and where it will show. */
import type { Catalog } from '../../api';
import { Copy } from '../../ui/copy';
import { Card } from '../../ui/parts';
import { firstRequest } from './first';

export function FirstRequest({ catalog }: { catalog: Catalog }) {
  const command = firstRequest(catalog);
  return (
    <Card title="Nothing has been asked yet" class="first">
      <p>
        Send this from a terminal, and watch it arrive here: which task it is, how sure that is, why this
        model, what it cost and how soon it began.
      </p>
      <div class="command">
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <section tabIndex={0} aria-label="The command">
          <pre>{command}</pre>
        </section>
        <Copy text={command} label="Copy the command" />
      </div>
      <p class="muted">
        Or type a sentence in the <a href="/playground">playground</a>, or look at the{' '}
        <a href="/routers">routers</a> that decide.{' '}
        {catalog.simulated
          ? 'The providers of this demo are simulated: no key, no network, no real model.'
          : 'Where the configuration has keys, add yours as a bearer token.'}
      </p>
    </Card>
  );
}
