// Tests the live page in a headless browser like a user, on models that were trained for it.
// usage: node scenario.mjs FOLDER MOE_URL THINKING_URL DENSE_URL KEY
// FOLDER has node_modules; screenshots are written to it.

import assert from 'node:assert/strict';
import { MIDDLE, NARROW, WIDE, accessible, browser, choose, ended, open, passed, shot, write } from './tab.mjs';

const [, moeUrl, thinkingUrl, denseUrl, key] = process.argv.slice(2);
const PROMPT = 'The report of the committee';
const LOCKED = /status of 401/;

const experts = tab => tab.$$eval('article:last-child .token', all => all.map(token => token.dataset.expert));
const text = tab => tab.locator('article').last().locator('.written').textContent();

async function network(tab, conditions) {
  tab.devtools ??= await tab.context().newCDPSession(tab);
  await tab.devtools.send('Network.enable');
  await tab.devtools.send('Network.emulateNetworkConditions',
    { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1, ...conditions });
}

const tab = await open(moeUrl);
await tab.waitForSelector('.cell');
assert.deepEqual(await tab.$$eval('.row', rows => rows.map(row => row.querySelectorAll('.cell').length)), [8, 16]);
passed('the map has the cells of a pyramid');

await write(tab, PROMPT, { seed: 7, 'max-tokens': 60 });
await tab.waitForSelector('.token:nth-of-type(10)');
assert.equal(await tab.evaluate(() => document.activeElement.id), 'prompt');
await ended(tab);
const first = await text(tab);
assert.ok(first.startsWith(PROMPT));
const coloured = await experts(tab);
assert.ok(coloured.length > 30 && coloured.every(expert => expert >= 0 && expert < 8));
assert.ok(new Set(coloured).size > 1);
const backgrounds = await tab.$$eval('.token', all => all.map(token => getComputedStyle(token).backgroundColor));
assert.equal(new Set(backgrounds).size, new Set(coloured).size);
const strong = await tab.evaluate(() => [...document.querySelectorAll('.token')].map(token => [
  getComputedStyle(document.querySelector(`#legend [data-expert="${token.dataset.expert}"] .swatch`)).backgroundColor,
  getComputedStyle(token).boxShadow]));
assert.ok(strong.every(([swatch, line]) => line.startsWith(swatch)), `${strong[0]}`);
passed('a text streams, its tokens in the colours of their experts');

await tab.click('#figures summary');
await tab.waitForSelector('#figures tbody tr');
const counted = () => tab.$$eval('#figures tbody tr', rows => rows.map(row => Number(row.cells[2].textContent)));
assert.deepEqual(await counted(), [60, 60]);
const shares = await tab.$$eval('#legend [data-expert] span', all => all.map(share => parseFloat(share.textContent)));
assert.ok(Math.abs(shares.reduce((sum, share) => sum + share) - 100) < 1, `${shares}`);
assert.ok(await tab.$$eval('.cell', cells => cells.some(cell => parseInt(cell.style.getPropertyValue('--heat')) > 30)));
await tab.setViewportSize({ width: 1280, height: 860 });
assert.ok(await tab.$eval('.wide', table => table.scrollWidth <= table.clientWidth), 'the table is cut off');
await tab.setViewportSize(WIDE);
passed('map, legend and table count the text');

await tab.hover('.token >> nth=12');
assert.match(await tab.textContent('#tip'), new RegExp(`expert ${coloured[12]}\\D`));
assert.equal(await tab.locator('.cell.ring').count(), 2);
assert.match(await tab.$eval('#tip', tip => getComputedStyle(tip, '::backdrop').backgroundColor), /, 0\)$/, 'a tip dims');
await shot(tab, 'light');
await tab.focus('.written');
await tab.keyboard.press('End');
await tab.keyboard.press('ArrowLeft');
assert.match(await tab.locator('.token').nth(coloured.length - 2).getAttribute('class'), /\bmarked\b/);
await tab.keyboard.press('ArrowUp');
assert.equal(await tab.locator('.token.marked').count(), 1);
await tab.focus('#map');
await tab.keyboard.press('ArrowDown');
assert.match(await tab.textContent('#tip'), /layer 3, expert 0\d+ of 60 tokens/);
await tab.keyboard.press('Escape');
assert.ok(await tab.isHidden('#tip'));
passed('pointer and arrow keys tell a token’s experts and a cell’s numbers');

await tab.selectOption('#layer', { index: 1 });
const other = await experts(tab);
assert.notDeepEqual(other, coloured);
assert.equal(await tab.locator('#legend [data-expert]').count(), 16);
const most = other.toSorted((a, b) => other.filter(e => e === b).length - other.filter(e => e === a).length)[0];
await tab.click(`#legend [data-expert="${most}"]`);
assert.equal(await tab.locator('.token:not(.other)').count(), other.filter(expert => expert === most).length);
await tab.click(`#legend [data-expert="${most}"]`);
assert.equal(await tab.locator('.token.other').count(), 0);
passed('another layer colours the text, and the legend picks an expert');

await write(tab, PROMPT);
await ended(tab, 1);
assert.equal(await text(tab), first);
passed('the same seed writes the same text');

await tab.click('text=All since start');
await tab.waitForFunction(() => [...document.querySelectorAll('#figures tbody tr')]
  .every(row => Number(row.cells[2].textContent) > 120));
const told = await tab.evaluate(async () => (await fetch('v1/moe/stats')).json());
const all = told.layers.map(layer => layer.tokens.reduce((sum, count) => sum + count));
await tab.waitForFunction(sums => [...document.querySelectorAll('#figures tbody tr')]
  .every((row, at) => Number(row.cells[2].textContent) === sums[at]), all);
assert.match(await tab.textContent('#speed'), /^\d+$/);
assert.match(await tab.textContent('#cache'), /^\d+ %$/);
const kept = told.layers.map(layer => layer.tokens_before.reduce((sum, count) => sum + count));
assert(kept.every(count => count > 0), 'the server before it kept its counts');
await tab.click('text=Ever');
await tab.waitForFunction(sums => [...document.querySelectorAll('#figures tbody tr')]
  .every((row, at) => Number(row.cells[2].textContent) === sums[at]), all.map((count, at) => count + kept[at]));
assert.match(await tab.textContent('#hits'), /^\d+ %$/);
await shot(tab, 'ever');
await tab.click('text=Last completion');
passed('the map shows what the server counted since its start, and those before it');

await write(tab, 'word '.repeat(2000));
assert.match(await tab.locator('article [role=alert]').textContent(),
  /^the prompt has \d+ tokens, more than the model's context/);
tab.wrong = tab.wrong.filter(text => !text.includes('status of 400'));
passed('a refusal is a sentence');

await tab.click('#new');
await tab.click('#mode >> text=Chat');
for (const turn of [1, 2]) {
  await write(tab, `Hello ${turn}`, { 'max-tokens': 30 });
  await ended(tab, turn - 1);
}
assert.equal(await tab.locator('.chat .token[data-expert]').count() > 0, true);
passed('a chat of two turns');

const note = tab.locator('article').last().locator('.note');
for (let turn = 3; await note.count() === 0; turn++) {
  assert.ok(turn < 30, 'the context is never full');
  await write(tab, `Hello ${turn}`);
  await ended(tab, turn - 1);
  assert.equal(await tab.locator('article [role=alert]').count(), 0);
}
assert.match(await note.textContent(), /no room for the oldest turns/);
passed('a chat goes on when its context is full');

await tab.click('#mode >> text=Completion');
await tab.setViewportSize(NARROW);
await write(tab, PROMPT, { 'max-tokens': 120 });
await ended(tab);
const bottom = selector => tab.locator(selector).last().evaluate(element => element.getBoundingClientRect().bottom);
assert.ok(await bottom('footer') <= await bottom('#texts'));
passed('the end of a text stays in view');
await tab.hover('.token >> nth=5');
for (const viewport of [WIDE, MIDDLE, NARROW]) {
  await tab.setViewportSize(viewport);
  for (const theme of ['light', 'dark']) {
    await choose(tab, theme);
    const page = await tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(Number(page.match(/\d+/)[0]) < 128, theme === 'dark', page);
    await accessible(tab, `${theme}, ${viewport.width} px`);
    await shot(tab, `${theme}-${viewport.width}`);
  }
}
await tab.setViewportSize(WIDE);
await tab.reload();
assert.equal(await tab.getAttribute('html', 'data-theme'), 'dark');
await tab.evaluate(() => localStorage.clear());
await tab.emulateMedia({ colorScheme: 'dark' });
await tab.reload();
assert.match(await tab.evaluate(() => getComputedStyle(document.body).backgroundColor), /^rgb\(\d\d, /);
passed('themes: chosen, kept, and the system’s');

await tab.waitForSelector('.cell');
for (let stops = 0, seen = new Set(); !seen.has('map'); stops++) {
  assert.ok(stops < 40, `Tab reaches ${[...seen]}`);
  await tab.keyboard.press('Tab');
  const [id, outline] = await tab.evaluate(() => {
    const now = document.activeElement;
    const shown = now.matches('.switch input') ? now.nextElementSibling : now;
    return [now.id || now.name || now.outerHTML.slice(0, 80), getComputedStyle(shown).outlineStyle];
  });
  seen.add(id);
  assert.equal(outline, 'solid', `${id} shows no focus`);
}
passed('Tab reaches everything, and the focus is seen');

await network(tab, { offline: true });
await tab.getByText('The server does not answer.').waitFor();
await network(tab, {});
await tab.waitForFunction(() => document.getElementById('state').hidden);
tab.wrong = tab.wrong.filter(text => !text.includes('ERR_INTERNET_DISCONNECTED'));
passed('a server that goes is missed, and found again');
await tab.done();

const thinker = await open(thinkingUrl);
await thinker.waitForSelector('.cell');
assert.equal(await thinker.locator('.cell:not(.none)').count(), 0);
await write(thinker, 'Hello', { temperature: 0, 'max-tokens': 42 });
await ended(thinker);
assert.ok(await thinker.isHidden('.thoughts .written'));
await thinker.click('.thoughts summary');
assert.equal(await thinker.textContent('.thoughts .written'), 'A greeting.');
assert.match(await thinker.textContent('article > .written'), /^\s*Good day/);
// A token is a byte: a blank, <think> and a line's end; the thought; a line's end, </think> and two more.
assert.match(await thinker.textContent('article footer'), /^42 tokens, 31 of them before the answer, /);
assert.equal(await thinker.locator('.thoughts .token[data-expert]').count(), 'Agreeting.'.length);
await thinker.click('#figures summary');
assert.equal(await thinker.textContent('#figures tbody tr td:nth-child(3)'), '42');
await thinker.focus('.thoughts .written');
await thinker.keyboard.press('End');
assert.match(await thinker.textContent('#tip'), /^“\.”layer 1: expert \d/);
await thinker.keyboard.press('Escape');
for (const theme of ['light', 'dark']) {
  await choose(thinker, theme);
  await accessible(thinker, `thoughts, ${theme}`);
  await shot(thinker, `thoughts-${theme}`);
}
await write(thinker, 'Hello');
await ended(thinker, 1);
assert.equal(await thinker.textContent('article:last-child .thoughts .written'), 'A greeting.');
await thinker.done();
passed('what a model thinks is folded, and counted');

const dense = await open(denseUrl, {}, LOCKED);
await dense.waitForSelector('#door:modal');
for (const bad of ['wrong', 'no header’s']) {
  await dense.fill('#key', bad);
  await dense.press('#key', 'Enter');
  await dense.getByText('This is not one of the server’s keys.').waitFor();
  assert.equal(await dense.inputValue('#key'), '');
  await dense.reload();
  await dense.waitForSelector('#door:modal');
  assert.equal(await dense.textContent('#refused'), '');
  assert.equal(await dense.evaluate(() => document.activeElement.id), 'key');
}
const middle = await dense.$eval('#door', door => {
  const { left, right, top, bottom } = door.getBoundingClientRect();
  return [Math.abs(left + right - innerWidth), Math.abs(top + bottom - innerHeight)];
});
assert.ok(middle.every(difference => difference <= 2), `the question is not in the middle: ${middle}`);
await dense.fill('#key', key);
await dense.press('#key', 'Enter');
await dense.waitForFunction(() => document.getElementById('model').textContent === 'dense');
assert.ok(await dense.isHidden('#experts'));
await write(dense, PROMPT, { 'max-tokens': 20 });
await ended(dense);
assert.ok(await dense.locator('.token').count() > 5);
assert.match(await dense.locator('article footer').textContent(), /^20 tokens/);
assert.equal(await dense.locator('.token[data-expert]').count(), 0);
await accessible(dense, 'a dense model');
await shot(dense, 'dense');
await dense.reload();
await dense.waitForFunction(() => document.getElementById('model').textContent === 'dense');
for (const [viewport, colorScheme] of [[WIDE, 'light'], [NARROW, 'dark']]) {
  const fresh = await open(denseUrl, { viewport, colorScheme }, LOCKED);
  await fresh.waitForSelector('#door:modal');
  await fresh.keyboard.press('Escape');
  assert.ok(await fresh.isVisible('#key'), 'nothing works without a key');
  await accessible(fresh, `a locked server, ${viewport.width} px`);
  await shot(fresh, `key-${viewport.width}`);
  await fresh.done();
}
await dense.done();
passed('a dense model behind a key has a chat and no map');
await browser.close();
