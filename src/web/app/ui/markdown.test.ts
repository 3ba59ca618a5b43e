import { expect, test } from 'vitest';
import { parse, safeUrl } from './markdown';

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

test('markup stays a leaf of text', () => {
  const types = parse('<img src=x onerror=alert(1)>\n\nhi <b>x</b>').children.map(node => node.type);
  expect(types).toEqual(['html', 'paragraph']);
});
