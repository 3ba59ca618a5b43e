/**
 * Markdown as elements. What a model wrote is untrusted: it is parsed to a tree and each node becomes an element of
 * ours, so no text ever becomes markup. HTML in it is shown as text, images are links (nothing is fetched), links go
 * to http, https or mailto alone.
 */
import './markdown.css';
import type { Definition, Nodes, Root, RootContent } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';
import { type ComponentChildren, h, type VNode } from 'preact';
import { useRef } from 'preact/hooks';
import { toast } from './toast';

const extensions = [gfm()];
const mdastExtensions = [gfmFromMarkdown()];

/** The tree of a text. */
export const parse = (text: string): Root => fromMarkdown(text, { extensions, mdastExtensions });

type Definitions = Map<string, Definition>;
type State = { from: number; text: string; blocks: VNode[] };

/**
 * Renders `text` while it grows: blocks that can no longer change are parsed and built once, only the last is done again.
 * Links to definitions are resolved when the text is whole.
 */
export function Markdown({ text, growing }: { text: string; growing: boolean }) {
  const state = useRef<State>({ from: 0, text: '', blocks: [] });
  if (!growing) {
    const whole = parse(text);
    return <div class="markdown">{children(whole, definitions(whole))}</div>;
  }
  const kept = state.current;
  if (!text.startsWith(kept.text)) state.current = { from: 0, text: '', blocks: [] };
  const { from, blocks } = state.current;
  const tree = parse(text.slice(from));
  const last = tree.children.at(-1);
  const settled = tree.children.slice(0, -1).map((node, place) => block(node, blocks.length + place));
  const start = last?.position?.start.offset ?? 0;
  state.current = { from: from + start, text: text.slice(0, from + start), blocks: [...blocks, ...settled] };
  return (
    <div class="markdown">
      {state.current.blocks}
      {last && block(last, state.current.blocks.length)}
    </div>
  );
}

const NONE: Definitions = new Map();
const block = (node: RootContent, key: number): VNode => (<Block key={key} node={node} />) as VNode;
function Block({ node }: { node: RootContent }) {
  return <>{element(node, NONE)}</>;
}

function definitions(tree: Root): Definitions {
  const found: Definitions = new Map();
  const visit = (node: Nodes) => {
    if (node.type === 'definition' && !found.has(node.identifier)) found.set(node.identifier, node);
    if ('children' in node) node.children.forEach(visit);
  };
  visit(tree);
  return found;
}

function children(node: { children: Nodes[] }, known: Definitions): ComponentChildren[] {
  return node.children.map((child, place) => <Node key={place} node={child} known={known} />);
}

const Node = ({ node, known }: { node: Nodes; known: Definitions }) => <>{element(node, known)}</>;

function element(node: Nodes, known: Definitions): ComponentChildren {
  switch (node.type) {
    case 'text':
      return node.value;
    case 'html':
      return <span class="raw">{node.value}</span>;
    case 'paragraph':
      return <p>{children(node, known)}</p>;
    case 'heading':
      // The page's own outline ends where an answer's begins.
      return h(`h${Math.min(6, node.depth + 3)}`, { class: `h${node.depth}` }, children(node, known));
    case 'emphasis':
      return <em>{children(node, known)}</em>;
    case 'strong':
      return <strong>{children(node, known)}</strong>;
    case 'delete':
      return <del>{children(node, known)}</del>;
    case 'inlineCode':
      return <code>{node.value}</code>;
    case 'code':
      return <Code text={node.value} language={node.lang ?? ''} />;
    case 'blockquote':
      return <blockquote>{children(node, known)}</blockquote>;
    case 'list':
      return node.ordered ? (
        <ol start={node.start ?? 1}>{children(node, known)}</ol>
      ) : (
        <ul>{children(node, known)}</ul>
      );
    case 'listItem':
      return (
        <li class={node.checked == null ? '' : 'task'}>
          {node.checked != null && (
            <input
              type="checkbox"
              checked={node.checked}
              disabled
              aria-label={node.checked ? 'done' : 'to do'}
            />
          )}
          {node.spread === false ? tight(node, known) : children(node, known)}
        </li>
      );
    case 'thematicBreak':
      return <hr />;
    case 'break':
      return <br />;
    case 'link':
      return <Link url={node.url}>{children(node, known)}</Link>;
    case 'linkReference': {
      const to = known.get(node.identifier);
      return to ? <Link url={to.url}>{children(node, known)}</Link> : children(node, known);
    }
    case 'image':
      return <Link url={node.url}>image: {node.alt || node.url}</Link>;
    case 'imageReference':
      return <Link url={known.get(node.identifier)?.url ?? ''}>image: {node.alt}</Link>;
    case 'footnoteReference':
      return <sup>[{node.identifier}]</sup>;
    case 'footnoteDefinition':
      return (
        <div class="footnote">
          <sup>[{node.identifier}]</sup> {children(node, known)}
        </div>
      );
    case 'table':
      return <Grid node={node} known={known} />;
    case 'root':
      return children(node, known);
    default:
      return null;
  }
}

/** Items of a tight list hold their paragraphs' text without the paragraphs. */
function tight(node: { children: Nodes[] }, known: Definitions): ComponentChildren[] {
  return node.children.map((child, place) =>
    child.type === 'paragraph' ? children(child, known) : <Node key={place} node={child} known={known} />,
  );
}

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

function Grid({ node, known }: { node: Extract<Nodes, { type: 'table' }>; known: Definitions }) {
  const [head, ...rows] = node.children;
  const align = (place: number) => ({ textAlign: node.align?.[place] ?? 'left' }) as const;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must take the focus
    <div role="group" class="grid" tabIndex={0} aria-label="Table">
      <table>
        <thead>
          <tr>
            {head?.children.map((cell, place) => (
              <th key={place} scope="col" style={align(place)}>
                {children(cell, known)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, number) => (
            <tr key={number}>
              {row.children.map((cell, place) => (
                <td key={place} style={align(place)}>
                  {children(cell, known)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
