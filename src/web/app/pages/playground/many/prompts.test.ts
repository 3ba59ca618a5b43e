import { expect, test } from 'vitest';
import { csvRows, MOST, readPrompts } from './prompts';

const texts = (text: string, name?: string) => readPrompts(text, name).prompts.map(prompt => prompt.text);

test('a prompt a line, empty lines are none', () => {
  expect(texts('one\n\n  two  \r\nthree')).toEqual(['one', 'two', 'three']);
});

test('CSV: the column by its name, else the first; quotes hold commas, quotes and line breaks', () => {
  expect(texts('id,Prompt\n1,"a, ""b""\nc"\n2,d\n', 'x.csv')).toEqual(['a, "b"\nc', 'd']);
  expect(texts('a,1\nb,2', 'x.csv')).toEqual(['a', 'b']);
  expect(csvRows('a,,c\n')).toEqual([['a', '', 'c']]);
});

test('JSON lines: text, prompt or messages, and a fault with its line for the rest', () => {
  const lines = [
    '{"text":"a"}',
    '"b"',
    '{"messages":[{"role":"user","content":"c"},{"role":"assistant","content":"x"},{"role":"user","content":"d"}]}',
    'nonsense',
    '{"other":1}',
  ];
  const { prompts, faults } = readPrompts(lines.join('\n'));
  expect(prompts.map(prompt => prompt.text)).toEqual(['a', 'b', 'd']);
  expect(prompts[2]?.messages).toHaveLength(3);
  expect(faults.map(fault => fault.slice(0, 7))).toEqual(['line 4:', 'line 5:']);
});

test('a quotation at the beginning is no JSON', () => {
  expect(texts('"Carpe diem" means what?\n"To be" is by whom?')).toEqual([
    '"Carpe diem" means what?',
    '"To be" is by whom?',
  ]);
  expect(texts('{x} is a set, or not?')).toEqual(['{x} is a set, or not?']);
});

test('no more than the limit, and says how many were left out', () => {
  const read = readPrompts(Array.from({ length: MOST + 7 }, (_, place) => `p${place}`).join('\n'));
  expect([read.prompts.length, read.leftOut]).toEqual([MOST, 7]);
});
