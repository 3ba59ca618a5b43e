import { expect, test } from 'vitest';
import { eventReader } from './sse';

const text = 'id: 1\nevent: overview\ndata: {"a":\r\ndata: 1}\r\n\r\n: ping\n\ndata: é\n\n';

test('reads the same events wherever the pieces end', () => {
  const whole = eventReader()(text);
  expect(whole).toEqual([
    { event: 'overview', data: '{"a":\n1}', id: '1' },
    { event: 'message', data: 'é', id: '1' },
  ]);
  for (let cut = 0; cut <= text.length; cut++) {
    const read = eventReader();
    expect([...read(text.slice(0, cut)), ...read(text.slice(cut))]).toEqual(whole);
  }
});

test('an event that has not ended is not given out', () => {
  expect(eventReader()('data: half')).toEqual([]);
});
