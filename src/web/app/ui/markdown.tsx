/**
 * Markdown as elements. What a model wrote is untrusted: it is read into tokens and each becomes an element of ours, so
 * no text ever becomes markup. HTML in it is shown as text, images are links (nothing is fetched), links go to http,
 * https or mailto alone.
 */
import './markdown.css';
import { lexer, type MarkedToken, type Token, type Tokens } from 'marked';
import { Component, type ComponentChildren, h } from 'preact';
import { useRef } from 'preact/hooks';
import { toast } from './toast';

/** The blocks of a text. */
export const parse = (text: string): MarkedToken[] => lexer(text, { gfm: true }) as MarkedToken[];

type State = { text: string; from: number; settled: Token[] };
const START: State = { text: '', from: 0, settled: [] };

/**
 * Reads a text that grows: what can no longer change is read once, only the last block again. Links to definitions are
 * resolved when the text is whole.
 */
export function grow(state: State, text: string): { state: State; last: Token[] } {
  const { from, settled } = text.startsWith(state.text) ? state : START;
  const rest = text.slice(from);
  const tokens = parse(rest);
  const place = tokens.findLastIndex(token => token.type !== 'space');
  const last = tokens.slice(Math.max(0, place));
  const end = last.map(token => token.raw).join('');
  // A token's own words are where the text ends, unless the reader has written them anew (a tab as spaces, say).
  if (place < 1 || !rest.endsWith(end))
    return { state: { text: text.slice(0, from), from, settled }, last: tokens };
  const next = text.length - end.length;
  return {
    state: { text: text.slice(0, next), from: next, settled: [...settled, ...tokens.slice(0, place)] },
    last,
  };
}

export function Markdown({ text, growing }: { text: string; growing: boolean }) {
  const state = useRef<State>(START);
  // One kind of line end, so that tokens and text agree.
  const clean = text.replaceAll('\r\n', '\n');
  if (!growing) return <div class="markdown">{all(parse(clean))}</div>;
  const { state: next, last } = grow(state.current, clean);
  state.current = next;
  return (
    <div class="markdown">
      {next.settled.map((token, place) => (
        <Block key={place} token={token} />
      ))}
      {last.map((token, place) => (
        <Block key={next.settled.length + place} token={token} />
      ))}
    </div>
  );
}

/** One token; the same token again is not built again. */
class Block extends Component<{ token: Token }> {
  override shouldComponentUpdate(next: { token: Token }): boolean {
    return next.token !== this.props.token;
  }
  render() {
    return <>{element(this.props.token as MarkedToken)}</>;
  }
}

const all = (tokens: Token[] | undefined): ComponentChildren[] =>
  (tokens ?? []).map((token, place) => <Block key={place} token={token} />);

function element(token: MarkedToken): ComponentChildren {
  switch (token.type) {
    case 'text':
      return token.tokens ? all(token.tokens) : decoded(token.text);
    case 'escape':
      return token.text;
    case 'html':
      return <span class="raw">{token.raw}</span>;
    case 'paragraph':
      return <p>{all(token.tokens)}</p>;
    case 'heading':
      // The page's own outline ends where an answer's begins.
      return h(`h${Math.min(6, token.depth + 3)}`, { class: `h${token.depth}` }, all(token.tokens));
    case 'em':
      return <em>{all(token.tokens)}</em>;
    case 'strong':
      return <strong>{all(token.tokens)}</strong>;
    case 'del':
      return <del>{all(token.tokens)}</del>;
    case 'codespan':
      return <code>{token.text}</code>;
    case 'code':
      return <Code text={token.text} language={token.lang ?? ''} />;
    case 'blockquote':
      return <blockquote>{all(token.tokens)}</blockquote>;
    case 'list':
      return token.ordered ? (
        <ol start={token.start === '' ? 1 : token.start}>{token.items.map(item)}</ol>
      ) : (
        <ul>{token.items.map(item)}</ul>
      );
    case 'checkbox':
      return (
        <input
          type="checkbox"
          checked={token.checked}
          disabled
          aria-label={token.checked ? 'done' : 'to do'}
        />
      );
    case 'hr':
      return <hr />;
    case 'br':
      return <br />;
    case 'link':
      return <Link url={token.href}>{all(token.tokens)}</Link>;
    case 'image':
      return <Link url={token.href}>image: {token.text || token.href}</Link>;
    case 'table':
      return <Grid table={token} />;
    default:
      return null;
  }
}

const item = (one: Tokens.ListItem, place: number) => (
  <li key={place} class={one.task ? 'task' : ''}>
    {all(one.tokens)}
  </li>
);

const NAMED: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  copy: '©',
};

/** The usual character references as their characters; the rest stays as it was written. */
export const decoded = (text: string): string =>
  text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-z]{2,6}));/g, (whole, decimal, hex, name) => {
    if (name) return NAMED[name] ?? whole;
    const code = decimal ? Number.parseInt(decimal, 10) : Number.parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });

/** Only addresses that cannot run anything; what is no address stays text. */
export function safeUrl(url: string): string | null {
  try {
    const { protocol, href } = new URL(url);
    return ['http:', 'https:', 'mailto:'].includes(protocol) ? href : null;
  } catch {
    return null;
  }
}

function Link({ url, children: inner }: { url: string; children?: ComponentChildren }) {
  const href = safeUrl(url);
  if (href === null) return <>{inner}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {inner}
    </a>
  );
}

function Code({ text, language }: { text: string; language: string }) {
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => toast('Copied.', 'good'),
      () => toast('The browser does not allow it: select the text instead.', 'bad'),
    );
  return (
    <figure class="code">
      <figcaption>
        <span>{language || 'text'}</span>
        <button type="button" class="button quiet small" onClick={copy}>
          Copy
        </button>
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </figure>
  );
}

function Grid({ table }: { table: Tokens.Table }) {
  const align = (place: number) => ({ textAlign: table.align[place] ?? 'left' }) as const;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus
    <div role="group" class="grid" tabIndex={0} aria-label="Table">
      <table>
        <thead>
          <tr>
            {table.header.map((cell, place) => (
              <th key={place} scope="col" style={align(place)}>
                {all(cell.tokens)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, number) => (
            <tr key={number}>
              {row.map((cell, place) => (
                <td key={place} style={align(place)}>
                  {all(cell.tokens)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
