// A browser for the tests of pages: tabs, what is typed into them, pictures, and the rules of accessibility.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

export const WIDE = { width: 1400, height: 860 };
export const MIDDLE = { width: 768, height: 1024 };
export const NARROW = { width: 390, height: 844 };

const [folder] = process.argv.slice(2); // has node_modules, and gets the pictures
const { chromium } = createRequire(join(folder, 'tab.mjs'))('playwright-core');
const axe = readFileSync(join(folder, 'node_modules/axe-core/axe.min.js'), 'utf8');

export const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});
export const passed = what => console.log(`passed: ${what}`);

/** A tab of its own; what goes wrong in it is an error of the test, unless it is expected. */
export async function open(url, options = {}, expected = /^$/) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: 'light', ...options });
  const tab = await context.newPage();
  tab.wrong = [];
  tab.on('console', message => message.type() === 'error' && tab.wrong.push(message.text()));
  tab.on('pageerror', error => tab.wrong.push(String(error)));
  tab.on('request', request => request.url().startsWith(url) || tab.wrong.push(request.url()));
  tab.done = async () => {
    assert.deepEqual(tab.wrong.filter(text => !expected.test(text)), []);
    await context.close();
  };
  await tab.goto(url);
  return tab;
}

/** Sends a prompt, with settings by the id of their field. */
export async function write(tab, prompt, settings = {}) {
  if (Object.keys(settings).length > 0 && (await tab.isHidden('#settings'))) {
    await tab.click('#to-settings');
  }
  for (const [id, value] of Object.entries(settings)) {
    await tab.fill(`#${id}`, String(value));
  }
  await tab.fill('#prompt', prompt);
  await tab.press('#prompt', 'Enter');
}

/** Waits for the end of the completion at a place, from 0. */
export async function ended(tab, place) {
  await tab.locator('article').nth(place ?? 0).waitFor();
  await tab.locator('#texts[aria-busy=false] article').last().locator('footer:not(:empty)').waitFor();
}

export const shot = (tab, name) => tab.screenshot({ path: join(folder, `${name}.png`) });

/** Chooses a theme; in a narrow window in the sheet that has the choice. */
export async function choose(tab, theme) {
  const sheet = await tab.isHidden('#history');
  if (sheet) {
    await tab.click('#to-history');
  }
  await tab.click(`#theme input[value=${theme}] + span`);
  if (sheet) {
    await tab.click('#history .close');
  }
}

/** axe's rules, on the page with whatever is open on it; and nothing is cut at the side. */
export async function accessible(tab, name) {
  assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name}: scrolls sideways`);
  await tab.evaluate(axe);
  const { violations } = await tab.evaluate(() => globalThis.axe.run());
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`), [], name);
  passed(`axe finds nothing: ${name}`);
}
