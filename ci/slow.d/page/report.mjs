// The pages of runs and plans, as a person reads them, in a browser without a window.
// usage: node report.mjs FOLDER REPORT...      FOLDER has node_modules, and gets the screenshots
// The first report is of a model with eight and more experts, and is used; the others are only looked at.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { apart } from './colour-blind.mjs';

const [folder, ...reports] = process.argv.slice(2);
const { chromium } = createRequire(join(folder, 'report.mjs'))('playwright-core');
const axe = readFileSync(join(folder, 'node_modules/axe-core/axe.min.js'), 'utf8');
const SMALLEST_TEXT = 9; // pixels

const passed = what => console.log(`passed: ${what}`);
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});

/** A tab of its own; what goes wrong in it, or is loaded by it, is an error. */
async function open(report, options) {
  const context = await browser.newContext(options);
  const tab = await context.newPage();
  const url = pathToFileURL(report).href;
  tab.wrong = [];
  tab.on('console', message => message.type() === 'error' && tab.wrong.push(message.text()));
  tab.on('pageerror', error => tab.wrong.push(String(error)));
  tab.on('request', request => request.url() === url || tab.wrong.push(request.url()));
  tab.done = async () => {
    assert.deepEqual(tab.wrong, []);
    await context.close();
  };
  await tab.goto(url);
  return tab;
}

/** Texts that are drawn smaller than a person can read, are cut off, touch, or run over their box. */
const untidy = tab => tab.evaluate(smallest => {
  const small = [...document.querySelectorAll('svg text')].filter(text => {
    const drawing = text.ownerSVGElement;
    const scale = drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width;
    return scale > 0 && scale * parseFloat(getComputedStyle(text).fontSize) < smallest;
  });
  const over = [...document.querySelectorAll('.tiles div')].filter(tile => tile.scrollWidth > tile.clientWidth);
  const cut = [...document.querySelectorAll('svg text')].filter(text => {
    const [inner, outer] = [text, text.ownerSVGElement].map(element => element.getBoundingClientRect());
    return inner.left < outer.left - 0.5 || inner.right > outer.right + 0.5;
  });
  // Labels on one line of a figure must not touch.
  const touching = [...document.querySelectorAll('svg')].flatMap(drawing => {
    const boxes = [...drawing.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
    return boxes.flatMap(([one, a], at) => boxes.slice(at + 1)
      .filter(([, b]) => a.left < b.right && b.left < a.right && a.top < b.bottom - 2 && b.top < a.bottom - 2)
      .map(([other]) => `${one} and ${other}`));
  });
  return [...small, ...cut, ...over].map(element => element.textContent).concat(touching);
}, SMALLEST_TEXT);

for (const report of reports) {
  const name = basename(dirname(report));
  for (const width of [390, 768, 1400]) {
    for (const colorScheme of ['light', 'dark']) {
      const tab = await open(report, { viewport: { width, height: 900 }, colorScheme });
      const what = `the page of ${name}, ${colorScheme}, ${width} px`;
      assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what}: scrolls sideways`);
      await tab.$$eval('details', all => all.forEach(details => (details.open = true)));
      assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what}: scrolls sideways`);
      assert.deepEqual(await untidy(tab), [], what);
      await tab.evaluate(axe);
      const { violations } = await tab.evaluate(() => globalThis.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`), [], what);
      assert.deepEqual(await tab.$$eval('nav a', links => links.map(link => document.querySelector(link.hash)?.textContent)),
        await tab.$$eval('nav a', links => links.map(link => link.textContent)), what);
      assert.deepEqual(await tab.$$eval('.plot[data-window]:not([data-shares])', plots => plots
        .filter(plot => !plot.querySelector('polyline')?.getAttribute('points')).map(plot => plot.ariaLabel)), [], what);
      await tab.screenshot({ path: join(folder, `report-${name}-${colorScheme}-${width}.png`), fullPage: true });
      await tab.done();
      passed(what);
    }
  }
}

const tab = await open(reports[0], { viewport: { width: 1400, height: 900 } });
const tokens = '.written .token[data-expert]';
const experts = () => tab.$$eval(tokens, all => all.map(token => token.dataset.expert));
const coloured = await experts();
assert.ok(coloured.length > 20 && new Set(coloured).size > 1);
const strong = await tab.$$eval(tokens, all => all.map(token => [
  getComputedStyle(document.querySelector(`#legend [data-expert="${token.dataset.expert}"] .swatch`)).backgroundColor,
  getComputedStyle(token).boxShadow]));
assert.ok(strong.every(([swatch, line]) => line.startsWith(swatch)), `${strong[0]}`);
const layers = await tab.$$eval('select.layer:first-of-type option', all => [...new Set(all.map(one => one.value))]);
const maps = () => tab.$$eval('figure[data-layer]', all => all.filter(map => !map.hidden).map(map => map.dataset.layer));
const numbered = () => tab.$eval('body', body => body.classList.contains('numbered'));
assert.deepEqual(new Set(await maps()), new Set([layers[0]]));
assert.equal(await numbered(), false, 'eight colours need no numbers');
await tab.selectOption('select.layer >> nth=0', { index: 1 });
assert.notDeepEqual(await experts(), coloured);
assert.deepEqual(new Set(await maps()), new Set([layers[1]]));
assert.ok((await tab.$$eval('select.layer', all => all.map(one => one.value))).every(value => value === layers[1]));
assert.equal(await numbered(), true, 'colours repeat from the ninth expert on');
passed('the chosen layer has the maps, and the tokens in the colours of its experts');

await tab.hover(`${tokens} >> nth=3`);
assert.match(await tab.textContent('#tip'), /layer \d+: expert \d+, weight \d\.\d\d/);
await tab.screenshot({ path: join(folder, 'report-token.png') });
const all = await experts();
await tab.click(`#legend [data-expert="${all[3]}"]`);
assert.equal(await tab.locator('.token:not(.other)').count(), all.filter(expert => expert === all[3]).length);
passed('a token tells its expert and weight, and the legend picks an expert');

const map = tab.locator('figure[data-layer]:not([hidden]) .plot').first();
await map.scrollIntoViewIfNeeded();
await map.hover();
assert.match(await tab.textContent('#tip'), /^expert \d+, step \d+\d+\.\d\d × the even share$/);
await tab.screenshot({ path: join(folder, 'report-cell.png') });
await map.focus();
await tab.keyboard.press('End');
const end = await tab.textContent('#tip');
await tab.keyboard.press('ArrowDown');
assert.match(end, /^expert 0, /);
assert.match(await tab.textContent('#tip'), /^expert 1, /);
await tab.keyboard.press('Escape');
assert.equal(await tab.locator('.cross').count(), 0);
passed('the heat map tells its cells, by pointer and by keys');

const chart = tab.locator('.plot[data-x-title]');
await chart.first().scrollIntoViewIfNeeded();
await chart.first().hover();
assert.match(await tab.textContent('#tip'), /^step [\d,]+training [\d.]+/);
assert.equal(await tab.locator('.cross').count(), await tab.locator('.plot[data-x-title=step]').count());
await tab.screenshot({ path: join(folder, 'report-crosshair.png') });
await tab.mouse.move(0, 0);
assert.equal(await tab.locator('.cross').count(), 0);
await chart.first().focus();
await tab.keyboard.press('ArrowRight');
await tab.keyboard.press('End');
const last = await tab.locator('polyline[data-values]').first().getAttribute('data-values');
assert.ok((await tab.textContent('#tip')).includes(`step ${Number(last.split(' ').at(-2)).toLocaleString('en')}`));
await tab.keyboard.press('Escape');
assert.ok(await tab.isHidden('#tip'));
passed('curves tell their values at the crosshair, by pointer and by keys');
await tab.done();

// A run that goes on: its page is loaded again, and stays as it was left.
const live = join(folder, 'live.html');
const html = readFileSync(reports[0], 'utf8');
const status = `<p id="running" role="status">Training at <time datetime="${new Date().toISOString()}">now</time></p>`;
writeFileSync(live, html.replace('<dl class="tiles">', `${status}$&`));
const running = await browser.newContext({ viewport: { width: 1400, height: 900 } });
const page = await running.newPage();
await page.clock.install();
await page.goto(pathToFileURL(live).href);
const left = () => page.evaluate(() => [scrollY, document.querySelector('select.layer').value,
  document.querySelector('details').open, document.activeElement.tagName]);
await page.click('details summary >> nth=0');
await page.selectOption('select.layer >> nth=0', { index: 1 });
await page.focus('select.layer >> nth=0');
await page.evaluate(() => scrollTo(0, 700));
const before = await left();
assert.deepEqual(before, [700, layers[1], true, 'SELECT']);
const reload = async () => {
  const loaded = page.waitForEvent('load');
  await page.clock.runFor(21_000).catch(() => {}); // which a reload may interrupt
  await loaded;
};
await reload();
assert.deepEqual(await left(), before);
writeFileSync(live, html); // the run has ended
await reload();
assert.equal(await page.locator('#running').count(), 0);
assert.deepEqual(await left(), before);
await page.evaluate(() => (globalThis.stays = true));
await page.clock.runFor(60_000);
assert.ok(await page.evaluate(() => globalThis.stays));
await running.close();
passed('the page of a running run reloads until the run has ended, and keeps position, layer and focus');

// The eight colours stay apart for the colour-blind, as the browser simulates them.
for (const colorScheme of ['light', 'dark']) {
  const colours = await open(reports[0], { viewport: { width: 1400, height: 900 }, colorScheme });
  await apart(colours, type => colours.screenshot({ path: join(folder, `report-${colorScheme}-${type}.png`), fullPage: true }));
  await colours.done();
  passed(`the colours of eight experts stay apart for the colour-blind, ${colorScheme}`);
}

const still = await open(reports[0], { javaScriptEnabled: false });
assert.ok((await still.locator('.written').first().textContent()).length > 50);
assert.ok(await still.isHidden('#choices'));
await still.done();
passed('without scripts the texts are plain');
await browser.close();
