// What a person does on the pages of the admin listener, in a real browser against `pointsman demo`.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { axeFindings, openPage, PATIENCE, startBrowser, startDemo } from './support.mjs';

const PAGES = ['/', '/playground', '/routers'];
const FIRST_LOAD_BYTES = 200 * 1024;

let demo;
let chrome;
before(async () => {
  [demo, chrome] = await Promise.all([startDemo(), startBrowser()]);
});
after(async () => {
  await Promise.allSettled([chrome?.stop(), demo?.stop()]);
});

const api = async path => (await fetch(demo.admin + path)).json();
const side = (page, letter) => page.getByRole('group', { name: new RegExp(`^${letter}: `) }).last();
const answer = (page, letter) => side(page, letter).locator('.answer');
const told = page => page.getByRole('status');
const prompting = page => page.getByRole('textbox', { name: 'Prompt', exact: true });

async function ask(page, prompt) {
  const turns = await page.getByRole('article').count();
  await prompting(page).fill(prompt);
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByRole('article').nth(turns).waitFor();
}

/** Until both sides have answered and the server's record of both is there. */
async function answered(page) {
  for (const letter of ['A', 'B']) {
    await answer(page, letter).and(page.locator('[data-phase=done]')).waitFor();
    await side(page, letter).locator('.cost-split dd', { hasText: '$' }).first().waitFor();
  }
}

describe('first load', () => {
  for (const path of PAGES) {
    test(`${path} is small, from here alone, and raises no complaint`, async t => {
      const { page, complaints, close } = await openPage(chrome.browser);
      const foreign = [];
      const finished = [];
      page.on('request', request => {
        if (!request.url().startsWith(demo.admin)) foreign.push(request.url());
      });
      page.on('requestfinished', request => finished.push(request));
      await page.goto(demo.admin + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      const interactive = await page.evaluate(() => performance.now());
      const files = finished.filter(request => !new URL(request.url()).pathname.startsWith('/api/'));
      const sizes = await Promise.all(files.map(request => request.sizes()));
      const bytes = sizes.reduce((sum, size) => sum + size.responseBodySize, 0);
      t.diagnostic(`${path}: ${bytes} bytes compressed in ${files.length} files, heading after ${Math.round(interactive)} ms`);
      assert.ok(bytes > 1000 && bytes < FIRST_LOAD_BYTES, `${bytes} bytes`);
      assert.deepEqual(foreign, []);
      assert.deepEqual(complaints, []);
      await close();
    });
  }
});

describe('playground', () => {
  test('one prompt streams at both sides, and the decision card tells why', async () => {
    const { page, complaints, close } = await openPage(chrome.browser);
    const catalog = await api('/api/catalog');
    const router = catalog.routers.find(one => one.name === 'software-engineering');
    await page.goto(`${demo.admin}/playground#a=router:software-engineering&b=claude-sonnet-4-6`);
    await prompting(page).waitFor();
    // Every length that an unfinished answer is seen to have.
    await page.evaluate(() => {
      globalThis.seen = { A: new Set(), B: new Set() };
      new MutationObserver(() => {
        for (const answer of document.querySelectorAll('.answer[aria-busy=true]')) {
          const letter = answer.closest('.side').getAttribute('aria-label')[0];
          const length = answer.querySelector('.markdown')?.textContent.length ?? 0;
          if (length > 0) globalThis.seen[letter].add(length);
        }
      }).observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true });
    });
    await ask(page, 'Explain what this regular expression matches: ^(a|b)+$');
    await answered(page);
    const lengths = await page.evaluate(() => [globalThis.seen.A.size, globalThis.seen.B.size]);
    assert.ok(lengths[0] > 2 && lengths[1] > 2, `seen to grow ${lengths} times`);
    // The decision, as the page and the server tell it.
    const card = side(page, 'A').getByRole('group', { name: 'Decision' });
    const tasks = await card.locator('.tasks tbody th').allTextContents();
    assert.deepEqual(tasks.toSorted(), [...router.tasks.map(task => task.name), 'none of these'].toSorted());
    const id = await side(page, 'A').locator('code', { hasText: /^pg-/ }).last().textContent();
    const record = await api(`/api/requests/${id}`);
    assert.equal(record.source, 'playground');
    assert.equal(await side(page, 'A').locator('.chosen').textContent(), record.model);
    assert.equal(await card.locator('.verdict strong').textContent(), record.task);
    const candidates = await card.getByRole('table').last().locator('tbody th').allTextContents();
    assert.equal(candidates.length, record.decision.candidates.length);
    for (const [place, one] of record.decision.candidates.entries()) assert.ok(candidates[place].includes(one.model), candidates[place]);
    assert.match(await card.textContent(), /threshold \d+ %/);
    // The difference, seen and said.
    assert.match(await page.getByRole('group', { name: 'A against B' }).textContent(), /[−+±]\d+ %.*cost.*[−+±]\d.*to first token/s);
    assert.match((await told(page).allTextContents()).join(), /A, \S+, has answered. B, \S+, has answered/);
    // Both are told what was said before.
    await ask(page, 'And shorter?');
    await answered(page);
    assert.equal(await page.getByRole('article').count(), 2);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a session is pinned, and its pin can be dropped', async () => {
    const { page, complaints, close } = await openPage(chrome.browser);
    await page.goto(`${demo.admin}/playground#a=router:general&b=router:general&session=1`);
    await ask(page, 'Give me ten names for a bakery that only sells rye bread');
    await answered(page);
    await ask(page, 'Translate this paragraph into French');
    await answered(page);
    assert.equal(await side(page, 'A').getByRole('group', { name: 'Decision' }).locator('.verdict .tag').textContent(), 'pinned');
    await side(page, 'A').getByRole('button', { name: 'Drop the pin' }).click();
    await told(page).getByText('The pin is dropped').waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('the settings are in the address, and what is typed is not', async () => {
    const { page, complaints, close } = await openPage(chrome.browser);
    await page.goto(`${demo.admin}/playground`);
    const against = page.getByRole('combobox').nth(1);
    await against.selectOption('glm-5');
    await page.getByRole('checkbox', { name: /Keep one session/ }).check();
    await prompting(page).fill('a secret of mine');
    assert.match(page.url(), /#b=glm-5&session=1$/);
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll('select')[1]?.value === 'glm-5');
    assert.ok(await page.getByRole('checkbox', { name: /Keep one session/ }).isChecked());
    assert.deepEqual(complaints, []);
    await close();
  });

  test('prompts come from a file too', async () => {
    const { page, complaints, close } = await openPage(chrome.browser);
    await page.goto(`${demo.admin}/playground#view=many`);
    const csv = 'id,prompt\n1,"one, with a comma"\n2,two\n';
    await page.locator('input[type=file]').setInputFiles({ name: 'p.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) });
    await page.getByRole('button', { name: 'Run 2' }).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('stopping ends both at once and says so', async () => {
    const { page, close } = await openPage(chrome.browser);
    await page.goto(`${demo.admin}/playground#a=router:writing&b=gpt-5.2`);
    await ask(page, 'Write a long story about a lighthouse');
    await page.getByRole('button', { name: 'Stop' }).click();
    await answer(page, 'A').and(page.locator('[data-phase=stopped]')).waitFor();
    await answer(page, 'B').and(page.locator('[data-phase=stopped]')).waitFor();
    await page.getByRole('button', { name: 'Send' }).waitFor();
    await close();
  });

  test('what a model writes is never markup', async () => {
    const { page, complaints, close } = await openPage(chrome.browser);
    const text = '# Title\n\n<img src="https://example.com/x.png" onerror="globalThis.hurt=1"> <script>globalThis.hurt=2</script>\n\n[a](javascript:globalThis.hurt=3) [b](https://example.com/) ![c](https://example.com/c.png)\n\n```js\nlet x = "<b>";\n```\n\n| h |\n|---|\n| cell |\n';
    const events = [...text].map(piece => `data: ${JSON.stringify({ model: 'm', choices: [{ index: 0, delta: { content: piece } }] })}\n\n`);
    const foreign = [];
    page.on('request', request => {
      if (!request.url().startsWith(demo.admin)) foreign.push(request.url());
    });
    await page.route('**/api/chat', route => route.fulfill({ contentType: 'text/event-stream', body: `${events.join('')}data: [DONE]\n\n` }));
    await page.route('**/api/requests/*', route => route.fulfill({ contentType: 'application/json', body: '{"state":"done","decision":null,"usage":null,"cost":null,"attempts":1}' }));
    await page.goto(`${demo.admin}/playground`);
    await ask(page, 'anything');
    await answer(page, 'B').and(page.locator('[data-phase=done]')).waitFor();
    const box = answer(page, 'A');
    assert.equal(await box.locator('img, script').count(), 0);
    assert.deepEqual(await box.locator('a').evaluateAll(links => links.map(link => [link.href, link.rel])), [
      ['https://example.com/', 'noopener noreferrer nofollow'],
      ['https://example.com/c.png', 'noopener noreferrer nofollow'],
    ]);
    assert.equal(await box.locator('pre').textContent(), 'let x = "<b>";');
    assert.equal(await box.locator('td').textContent(), 'cell');
    assert.equal(await page.evaluate(() => globalThis.hurt), undefined);
    assert.deepEqual(foreign, []);
    assert.deepEqual(complaints, []);
    await close();
  });

  test('an error of one side is told in words, with its code and request id; the other side answers', async () => {
    const { page, close } = await openPage(chrome.browser);
    await page.route('**/api/chat', route =>
      route.request().postDataJSON().model.startsWith('router:')
        ? route.fulfill({ status: 503, contentType: 'application/json', headers: { 'x-request-id': 'pg-told' }, body: '{"error":{"code":"no_healthy_target","message":"no target is healthy"}}' })
        : route.continue(),
    );
    await page.goto(`${demo.admin}/playground`);
    await ask(page, 'anything');
    const alert = side(page, 'A').getByRole('alert');
    await alert.waitFor();
    assert.match(await alert.textContent(), /no target is healthy.*503.*no_healthy_target.*pg-told.*wait a few seconds/s);
    await answer(page, 'B').and(page.locator('[data-phase=done]')).waitFor();
    await close();
  });

  test('twenty prompts run, are voted on by key, and leave as JSON and CSV', async () => {
    const { page, complaints, close } = await openPage(chrome.browser);
    await page.goto(`${demo.admin}/playground#view=many&at-once=3&a=router:software-engineering&b=glm-5&max-tokens=12`);
    await page.getByRole('button', { name: 'Twenty examples' }).click();
    await page.getByRole('button', { name: 'Run 20' }).click();
    await page.getByText('All 20 are done.').last().waitFor();
    const totals = page.getByRole('table', { name: 'Totals of both sides' });
    assert.match(await totals.textContent(), /answered2020failed00cost\$/);
    assert.equal(await page.locator('.scatter .mark').count(), 40);
    await page.locator('body').press('1');
    await page.locator('body').press('2');
    assert.match(await totals.textContent(), /votes11/);
    for (const [name, read] of [['JSON', text => JSON.parse(text).rows.length], ['CSV', text => text.split(/\r\n(?=\d)/).length - 1]]) {
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
      const text = await readFile(await download.path(), 'utf8');
      assert.equal(read(text), 20, name);
    }
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a wanted key is asked for, kept in memory, and sent', async () => {
    const { page, close } = await openPage(chrome.browser);
    const sent = [];
    await page.route('**/api/catalog', async route => {
      const key = await route.request().headerValue('authorization');
      sent.push(key);
      if (key === 'Bearer right') await route.continue();
      else await route.fulfill({ status: 401, contentType: 'application/json', body: '{"error":{"code":"unauthorized","message":"a key is needed"}}' });
    });
    await page.goto(`${demo.admin}/playground`);
    const dialog = page.getByRole('dialog', { name: 'Admin key' });
    await dialog.getByLabel('Key', { exact: true }).fill('wrong');
    await page.keyboard.press('Enter');
    await dialog.getByRole('alert').waitFor();
    await dialog.getByLabel('Key', { exact: true }).fill('right');
    await page.keyboard.press('Enter');
    await prompting(page).waitFor();
    assert.ok(sent.includes(null) && sent.includes('Bearer wrong') && sent.includes('Bearer right'), sent.join());
    const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie + location.href);
    assert.doesNotMatch(stored, /right/);
    await close();
  });
});

describe('routers', () => {
  test('a router edited as YAML decides the next request', async () => {
    const { page, complaints, close } = await openPage(chrome.browser);
    const prompt = 'Explain what this regular expression matches: ^(a|b)+$';
    await page.goto(`${demo.admin}/playground#a=router:software-engineering&b=glm-5&max-tokens=8`);
    await ask(page, prompt);
    await answered(page);
    assert.notEqual(await side(page, 'A').locator('.chosen').textContent(), 'claude-sonnet-4-6');
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Routers' }).click();
    await page.getByRole('navigation', { name: 'Routers' }).getByRole('button', { name: /software-engineering/ }).click();
    const yaml = page.getByRole('textbox', { name: 'Router as YAML' });
    await page.waitForFunction(() => /code-explanation/.test(document.querySelector('textarea')?.value ?? ''));
    const before = await yaml.inputValue();
    const after = before.replace(/(task_slug: code-explanation\n\s+models: )\[.*\]/, '$1[claude-sonnet-4-6]');
    assert.notEqual(before, after);
    await yaml.fill(after);
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await told(page).getByText('software-engineering is saved').waitFor();
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Playground' }).click();
    await page.getByRole('button', { name: 'New conversation' }).click();
    await page.getByLabel('This', { exact: false }).first().waitFor();
    await ask(page, prompt);
    await answered(page);
    assert.equal(await side(page, 'A').locator('.chosen').textContent(), 'claude-sonnet-4-6');
    assert.deepEqual(complaints, []);
    await close();
  });

  test('a prompt is kept as an example of a task, with what the library knows of it', async () => {
    const { page, close } = await openPage(chrome.browser);
    const prompt = 'Is this bread name any good: Crumb and Circumstance?';
    let puts = 0;
    await page.route('**/v2/gen-ai/models/routers/*', route => {
      if (route.request().method() !== 'PUT' || ++puts > 1) return route.continue();
      return route.fulfill({ status: 412, contentType: 'application/json', body: '{"error":{"code":"stale","message":"it was changed meanwhile"}}' });
    });
    await page.goto(`${demo.admin}/playground#a=router:general&b=glm-5&max-tokens=8`);
    await ask(page, prompt);
    await answered(page);
    await side(page, 'A').getByText('Keep this prompt as an example').click();
    await side(page, 'A').getByLabel('Task', { exact: true }).selectOption('brainstorming-ideation');
    const keep = side(page, 'A').getByRole('button', { name: 'Keep', exact: true });
    await keep.click();
    await side(page, 'A').getByRole('alert').getByText('Somebody else changed the router').waitFor();
    await keep.click();
    await told(page).getByText('Saved: an example of brainstorming-ideation in general').waitFor();
    const { model_routers: routers } = await api('/v2/gen-ai/models/routers');
    const task = routers.find(router => router.name === 'general').config.policies.map(policy => policy.custom_task).find(custom => custom?.name === 'brainstorming-ideation');
    assert.equal(task.examples.at(-1), prompt);
    assert.ok(task.examples.length > 1 && task.description, JSON.stringify(task));
    await close();
  });
});

/** Until nothing on the page is still on its way. */
async function settled(page) {
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.skeleton').length === 0);
}

describe('every page', () => {
  for (const colorScheme of ['light', 'dark']) {
    for (const path of [...PAGES, '/playground#view=many']) {
      test(`axe finds nothing on ${path} in ${colorScheme}`, async () => {
        const { page, close } = await openPage(chrome.browser, { colorScheme, axe: true });
        await page.goto(demo.admin + path);
        await settled(page);
        if (path === '/routers') {
          assert.deepEqual(await axeFindings(page), []);
          await page.getByRole('navigation', { name: 'Routers' }).getByRole('button').first().click();
          await settled(page);
        }
        if (path === '/playground') {
          await ask(page, 'This loop never ends, why? while i < 10: print(i)');
          await answered(page);
        }
        if (path.endsWith('many')) {
          await page.getByRole('textbox', { name: /^Prompts/ }).fill('Translate this\nFix this bug: x = 1 +');
          await page.getByRole('button', { name: 'Run 2' }).click();
          await page.getByText('All 2 are done.').last().waitFor();
        }
        assert.deepEqual(await axeFindings(page), []);
        await close();
      });
    }
  }

  for (const path of PAGES) {
    test(`${path} fits 320 pixels`, async () => {
      const { page, close } = await openPage(chrome.browser, { viewport: { width: 320, height: 640 } });
      await page.goto(demo.admin + path);
      await settled(page);
      if (path === '/playground') {
        await ask(page, 'This loop never ends, why? while i < 10: print(i)');
        await answered(page);
      }
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320);
      await close();
    });
  }
});
