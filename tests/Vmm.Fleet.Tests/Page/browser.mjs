// What the scripts have in common: Debian's Chromium, driven by Playwright. PageTests starts them, and does what they ask of it on stdout.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.env.PAGE_NPM}/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const patience = Number(process.env.PAGE_PATIENCE);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export const server = process.env.PAGE_SERVER;

/** Has PageTests do something with the nodes; returns when it is done. */
export async function have(what) {
  process.stdout.write(`${what}\n`);
  assert.equal((await answers.next()).value, 'done');
}

/** Runs a script with a browser, and fails when the page has written an error to its console that was not expected. */
export async function run(script) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  });
  const errors = [];
  let expected = [];
  async function open(options) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    page.on('pageerror', error => errors.push(`${error}`));
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type()) && !expected.some(pattern => pattern.test(message.text()))) {
        errors.push(`${message.type()}: ${message.text()} ${message.location().url}`);
      }
    });
    return page;
  }
  try {
    await script(open, patterns => { expected = patterns; });
    assert.deepEqual(errors, []);
  } catch (error) {
    for (const context of browser.contexts()) {
      for (const page of context.pages()) {
        process.stderr.write(`${page.url()}\n${await page.locator('body').innerText().catch(() => '')}\n`);
      }
    }
    process.stderr.write(`${errors.join('\n')}\n`);
    throw error;
  } finally {
    await browser.close();
    process.stdin.destroy();
  }
}

export async function signIn(page, token) {
  await page.getByLabel('Token').fill(token);
  await page.keyboard.press('Enter');
}

/** Waits until a function of the page's document holds. */
export const until = (page, condition, argument) => page.waitForFunction(condition, argument, { timeout: patience, polling: 50 });

/** Waits until an element has a text. */
export const has = (page, selector, text) =>
  until(page, ([at, what]) => document.querySelector(at)?.textContent.includes(what), [selector, text]);

/** Waits until the terminal shows a text. */
export const shows = (page, text) => until(page, what => {
  const rows = [...document.querySelectorAll('.xterm-rows > div')].map(row => row.textContent.trimEnd());
  return rows.join('\n').includes(what);
}, text);

/** No finding of axe that is serious or critical. */
export async function isAccessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  assert.deepEqual(serious.map(({ id, nodes }) => `${what}: ${id}: ${nodes.map(node => `${node.html} ${node.failureSummary}`).join('; ')}`), []);
}

/** A picture for the documentation, if somebody wants one. */
export async function picture(page, name) {
  if (process.env.PAGE_PICTURES !== undefined) {
    await page.screenshot({ path: `${process.env.PAGE_PICTURES}/${name}.png` });
  }
}
