import { expect, test } from 'vitest';
import { withExample } from './yaml';

const FILE = `# Ours.
name: support
policies:
  - custom_task:
      name: refunds   # money back
      examples: ["Where is my money?"]
    models: [glm-5]
  - task_slug: translation # from the library
    models: [glm-5, gpt-5.2]
fallback_models: [glm-5]
`;

test('an example joins the others and comments stay', () => {
  const { yaml, copied } = withExample(FILE, 'refunds', 'I want: "it" back');
  expect(copied).toBe(false);
  expect(yaml).toContain('# Ours.');
  expect(yaml).toContain('# money back');
  expect(yaml).toMatch(/Where is my money\?", *["'].*it/s);
  expect(yaml).toContain('task_slug: translation # from the library');
});

test("a library's task becomes the router's own", () => {
  const library = { task_slug: 'translation', description: 'Translate a text.', examples: ['In French?'] };
  const { yaml, copied } = withExample(FILE, 'translation', 'Auf Deutsch bitte', library);
  expect(copied).toBe(true);
  expect(yaml).not.toContain('task_slug');
  expect(yaml).toMatch(
    /custom_task:\s+name: translation\s+description: Translate a text\.\s+examples:\s+- In French\?\s+- Auf Deutsch bitte\s+models/,
  );
});

test('a task that is gone is said so', () => {
  expect(() => withExample(FILE, 'gone', 'x')).toThrow('no task gone');
});
