// The pictures in the README: starts the demo, sends it some traffic, and takes them in Debian's Chromium. `make screenshots`.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openPage, startBrowser, startDemo } from '../../../tests/web/support.mjs';

const folder = dirname(fileURLToPath(import.meta.url));
const SIZE = { width: 1360, height: 850 };
const TRAFFIC_MS = 75_000;
const AT_ONCE = 4;

const ASKED = {
  'software-engineering': [
    'This loop never ends, why? while i < 10: print(i)',
    'Write a function that merges two sorted lists in Go',
    'Explain what this regular expression matches: ^(a|b)+$',
    'Write unit tests for a function that parses dates',
    'Traceback: KeyError "name" on the second call, how do I fix it?',
    'Design the architecture of a chat service for a million users',
    'This query takes 40 seconds on a large table, make it faster',
  ],
  general: [
    'Translate "good morning, how are you?" into French',
    'Summarize the plot of Hamlet in two sentences',
    'Give me ten ideas for a name of a small bakery',
    'Plan a move to another city in steps',
    'What is your opinion on four-day weeks?',
  ],
  writing: [
    'Write a short poem about the sea at night',
    'Draft an email that declines a meeting politely',
    'Make this paragraph shorter and friendlier: we regret to inform you',
    'A post for our new running shoes, with a hashtag',
  ],
  'knowledge-base-document': [
    'How do I reset my password in your app?',
    'According to the table above, which quarter had the highest revenue?',
    'What does the contract say about the notice period?',
  ],
};

const prompts = Object.entries(ASKED).flatMap(([router, texts]) => texts.map(text => [router, text]));

/** The same order on every run, with the first router asked more often than the last. */
function* order() {
  for (let turn = 0; ; turn += 1) {
    const place = (turn * 7) % (prompts.length + 6);
    yield prompts[place % prompts.length];
  }
}

async function send(data, [router, text], turn) {
  const headers = { 'content-type': 'application/json' };
  if (turn % 6 === 0) headers['x-model-affinity'] = `session-${turn % 4}`;
  const model = turn % 19 === 0 ? 'glm-5' : `router:${router}`;
  const body = JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: text }] });
  const response = await fetch(`${data}/v1/chat/completions`, { method: 'POST', headers, body });
  await response.text();
}

async function traffic(data) {
  const end = Date.now() + TRAFFIC_MS;
  const next = order();
  let turn = 0;
  const caller = async () => {
    while (Date.now() < end) {
      turn += 1;
      await send(data, next.next().value, turn);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, caller));
}

const demo = await startDemo();
const chrome = await startBrowser();
const open = async (path, colorScheme, size = SIZE) => {
  const { page, close } = await openPage(chrome.browser, { viewport: size, colorScheme });
  await page.goto(demo.admin + path);
  await page.getByRole('heading', { level: 1 }).waitFor();
  const shoot = async name => {
    await page.mouse.move(0, 0);
    await page.evaluate(() => document.activeElement?.blur());
    await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
    await close();
  };
  return { page, shoot };
};

async function dashboard() {
  const { page, shoot } = await open('/#compare=gpt-5.2', 'light', { width: 1440, height: 980 });
  await page.getByText('routing saved').first().waitFor();
  await shoot('dashboard');
}

async function decision() {
  const { page, shoot } = await open('/', 'dark');
  await page.getByLabel('Filter by name, id or status').fill('bug-fixing');
  await page.getByRole('button', { name: 'show this request' }).first().click();
  await page.getByText('Tasks by probability').waitFor();
  await shoot('decision');
}

async function playground() {
  const { page, shoot } = await open(
    '/playground#a=router:software-engineering&b=claude-sonnet-4-6',
    'light',
    { ...SIZE, height: 1300 },
  );
  await page.getByRole('textbox', { name: 'Prompt' }).fill(ASKED['software-engineering'][2]);
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('[data-phase=done]').nth(1).waitFor();
  await page.locator('.cost-split dd', { hasText: '$' }).nth(1).waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await shoot('playground');
}

async function routers() {
  const { page, shoot } = await open('/routers#router=software-engineering', 'dark', {
    ...SIZE,
    width: 1920,
    height: 1080,
  });
  const text = page.getByRole('textbox', { name: 'Router as YAML' });
  await page.getByText('No mistakes').waitFor();
  await page
    .getByLabel('A sentence to try against this draft')
    .fill('Traceback: KeyError on the second call, how do I fix it?');
  await page.getByText('Tasks by probability').waitFor();
  await text.fill((await text.inputValue()).replace('gpt-5.2-mini', 'gpt-5.2-mni'));
  await page.getByText('1 mistake', { exact: true }).waitFor();
  await shoot('routers');
}

const pictures = { dashboard, decision, playground, routers };
const named = process.argv.slice(2);
const wanted = (named.length > 0 ? named : Object.keys(pictures)).map(name => pictures[name]);

try {
  const { data_plane } = await (await fetch(`${demo.admin}/api/catalog`)).json();
  // Only the figures of what was asked need somebody who asks.
  if (wanted.includes(dashboard) || wanted.includes(decision)) await traffic(data_plane);
  for (const take of wanted) await take();
} finally {
  await Promise.allSettled([chrome.stop(), demo.stop()]);
}
