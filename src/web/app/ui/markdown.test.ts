import { expect, test } from 'vitest';
import { decoded, grow, parse, safeUrl } from './markdown';

test('only harmless addresses become links', () => {
  expect(safeUrl('https://example.com/a?b')).toBe('https://example.com/a?b');
  expect(safeUrl('mailto:a@example.com')).toBe('mailto:a@example.com');
  for (const url of [
    'javascript:alert(1)',
    'data:text/html,x',
    ' java\nscript:x',
    '/api/pins',
    'vbscript:x',
    '',
  ]) {
    expect(safeUrl(url)).toBeNull();
  }
});

test('character references become characters, never markup', () => {
  expect(decoded('a &lt;b&gt; &amp;amp; &#65;&#x42; &#0; &nosuch; &#99999999;')).toBe(
    'a <b> &amp; AB &#0; &nosuch; &#99999999;',
  );
});

test('a text read while it grows has the blocks of the whole', () => {
  const text =
    '# One\n\ntwo *three*\nfour\n\n- a\n- b\n\n  c\n\n```js\nlet x = 1;\n\n# no heading\n```\n\n| a |\n|---|\n| 1 |\n\nend\ttab\n';
  const types = (tokens: { type: string; raw: string }[]) =>
    tokens.filter(token => token.type !== 'space').map(token => `${token.type} ${token.raw.trim()}`);
  for (const step of [1, 2, 3, 7]) {
    let state: Parameters<typeof grow>[0] = { text: '', from: 0, settled: [] };
    let last: ReturnType<typeof grow>['last'] = [];
    for (let end = step; end < text.length + step; end += step)
      ({ state, last } = grow(state, text.slice(0, end)));
    expect(types([...state.settled, ...last])).toEqual(types(parse(text)));
  }
});

test('long texts are read at once', () => {
  const rows = '| one | *two* |\n'.repeat(2000);
  expect(parse(`| a | b |\n|---|---|\n${rows}`)).toHaveLength(1);
});
