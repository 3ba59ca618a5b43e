// Starts the demo and a browser for the tests, and ends them.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(new URL('../../src/web/package.json', import.meta.url));
const { chromium } = require('playwright-core');
export const axeSource = require('axe-core').source;

/** How long anything may take: reached only by what is broken, however slow the machine. */
export const PATIENCE = 60_000;

/** `pointsman demo` with the addresses that it prints; `POINTSMAN_WEB_BASE` names a running one. */
export async function startDemo() {
  if (process.env.POINTSMAN_WEB_BASE) return { admin: process.env.POINTSMAN_WEB_BASE, stop: async () => {} };
  const child = spawn(process.env.POINTSMAN_BIN, ['demo'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise(resolve => child.once('exit', resolve));
  let told = '';
  const admin = await new Promise((resolve, reject) => {
    const read = piece => {
      told += piece;
      const found = /admin\s+(http:\/\/\S+)/.exec(told);
      if (found) resolve(found[1]);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    ended.then(code => reject(new Error(`the demo ended with ${code}:\n${told}`)));
    setTimeout(() => reject(new Error(`the demo names no admin address:\n${told}`)), PATIENCE).unref();
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  return { admin, stop };
}

export async function startBrowser() {
  const profile = mkdtempSync(join(tmpdir(), 'pointsman-web-'));
  const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: [...quiet, `--crash-dumps-dir=${profile}`] });
  const stop = async () => {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { browser, stop };
}

/** A page of its own that notes every complaint of the browser: of scripts, of the security policy, of what was not found. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(PATIENCE);
  if (options.axe) await context.addInitScript({ content: axeSource });
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', error => complaints.push(`script: ${error.message}`));
  page.on('console', message => {
    // A record that is asked for before the server has it is no fault of anybody's.
    const early = message.location().url.includes('/api/requests/');
    if ((message.type() === 'error' || message.type() === 'warning') && !early) complaints.push(`console: ${message.text()}`);
  });
  return { page, complaints, close: () => context.close() };
}

/** What axe finds on the page as it is now, a line for each element. */
export async function axeFindings(page) {
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return violations.flatMap(({ id, help, nodes }) => nodes.map(node => `${id}: ${help}: ${node.target.join(' ')}: ${node.failureSummary?.split('\n')[1]?.trim() ?? ''}`));
}
