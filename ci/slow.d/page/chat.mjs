// Tests the live page in a headless browser on scripted answers, as no small model writes them.
// usage: node chat.mjs FOLDER PAGES_URL      FOLDER has node_modules, and gets the pictures; PAGES_URL is a real server

import assert from 'node:assert/strict';
import { apart } from './colour-blind.mjs';
import { ATTACK, MARKDOWN, NAME, routed, standIn } from './stand-in.mjs';
import { MIDDLE, NARROW, WIDE, accessible, browser, choose, ended, open, passed, shot, write } from './tab.mjs';

const server = await standIn(process.argv[3]);
const REFUSED = /status of (429|503)|ERR_INCOMPLETE_CHUNKED/;
const THUMB = 44; // pixels

const last = '#texts article:last-child';
const colour = (tab, selector) => tab.locator(selector).last().evaluate(element => getComputedStyle(element).color);
const titles = tab => tab.$$eval('#conversations li button:first-child', all => all.map(button => button.textContent));
const unharmed = async tab => {
  assert.equal(await tab.evaluate(() => globalThis.ran), undefined, 'a script of the model ran');
  assert.equal(await tab.locator('main :is(img, script, iframe, svg, [onload], [onerror], [onclick])').count(), 0);
  assert.deepEqual(await tab.$$eval('main a', all => all.filter(link => !/^https?:/.test(link.href)).length), 0);
};

// A chat

const tab = await open(server.url, { permissions: ['clipboard-read', 'clipboard-write'] }, REFUSED);
await tab.waitForSelector('.cell');
assert.equal(await tab.title(), `${NAME} – Panamoe`);
assert.equal(await tab.textContent('#model'), NAME);
assert.ok(await tab.isChecked('input[value=chat]'));
passed('the title has the model, and a model with a template starts with a chat');

await write(tab, 'markdown');
await ended(tab);
const answer = `${last} > .written`;
assert.equal(await tab.textContent(`${answer} h3`), 'Sorting by merging');
assert.deepEqual(await tab.$$eval(`${answer} > ol > li`, all => all.length), 3);
assert.deepEqual(await tab.$$eval(`${answer} ul li`, all => all.map(item => item.textContent)),
  ['by itself,', 'or by insertion where it is short,']);
assert.equal(await tab.textContent(`${answer} pre`), MARKDOWN.match(/```java\n(.*?)\n```/s)[1]);
assert.deepEqual(
  await tab.$$eval(`${answer} td`, all => all.map(cell => `${cell.style.textAlign} ${cell.textContent}`)),
  ['sorted', 'random'].flatMap(word => [` ${word}`, 'right n log n', 'right n']));
assert.equal(await tab.textContent(`${answer} blockquote`), 'It is stable: equal elements\nkeep their order.');
assert.equal(await tab.getAttribute(`${answer} a`, 'href'), 'https://example.org/merge_sort');
passed('an answer is Markdown');

// Words stand where they stood in the source; those of its markup are not shown.
const words = await tab.$$eval(`${answer} .token`,
  all => all.map(token => `${token.textContent} ${token.dataset.expert}`));
const source = routed('markdown').map(({ piece, experts: [expert] }) => `${piece.trim()} ${expert}`);
const spoken = all => all.filter(word => /^\p{L}/u.test(word));
let place = 0;
for (const word of spoken(words)) {
  place = source.indexOf(word, place) + 1;
  assert.ok(place > 0, `${word} is not what the server sent`);
}
assert.equal(spoken(words).length, spoken(source).length - 'java https example org merge sort'.split(' ').length);
passed('the tokens of Markdown have their own experts');

assert.equal(await tab.getAttribute(`${last} .thoughts`, 'open'), null);
assert.equal(await tab.textContent(`${last} .thoughts summary`), 'Thoughts: 17 tokens');
await tab.click(`${last} .thoughts summary`);
assert.ok(await tab.isVisible(`${last} .thoughts .written`));
await tab.click('#new');
await write(tab, 'thinking');
await tab.locator('summary', { hasText: /^Thinking: \d+ tokens$/ }).waitFor();
await ended(tab);
passed('thoughts are folded');

await tab.click('#conversations li >> nth=1 >> button >> nth=0');
const copied = () => tab.evaluate(() => navigator.clipboard.readText());
await tab.click(`${answer} .copy`);
assert.equal(await copied(), MARKDOWN.match(/```java\n(.*?)\n```/s)[1]);
await tab.click(`${last} footer .copy`);
assert.equal(await copied(), MARKDOWN);
assert.equal(await tab.textContent(`${last} footer .copy`), 'Copied');
await tab.evaluate(() => {
  Object.defineProperty(navigator, 'clipboard', { value: undefined });
  document.addEventListener('copy', () => (globalThis.copied = document.activeElement.value));
});
await tab.click(`${answer} .copy`);
assert.match(await tab.evaluate(() => globalThis.copied), /^static int/);
passed('code and answers are copied, also without a clipboard');

await write(tab, 'Who are you?', { system: 'Be brief.', temperature: '', 'top-p': 0.9, 'top-k': 40, 'max-tokens': 99 });
await ended(tab, 1);
const { messages, seed, ...fields } = server.requests.at(-1);
assert.deepEqual(messages.map(({ role }) => role), ['system', 'user', 'assistant', 'user']);
assert.equal(messages[0].content, 'Be brief.');
assert.equal(messages[2].content, MARKDOWN);
assert.ok(seed >= 0);
assert.deepEqual(fields,
  { top_p: 0.9, top_k: 40, max_tokens: 99, return_token_ids: true, moe: { tokens: true }, stream: true });
passed('a request has the system prompt, the conversation and the settings');
await tab.click('#to-settings');

await tab.click('#new');
await write(tab, 'tools');
await ended(tab);
assert.equal(await tab.textContent(answer), 'Let me see.');
passed('a call that nobody asked for is left out');

await write(tab, 'attack');
await ended(tab, 1);
await tab.click(`${last} .thoughts summary`);
await unharmed(tab);
assert.ok((await tab.textContent(answer)).includes('<img src=x onerror="globalThis.ran=1"> and <script>'));
assert.equal(await tab.textContent(`${last} .thoughts .written`), ATTACK);
await accessible(tab, 'an attack');
await shot(tab, 'attack');
await tab.locator(answer).getByText('press', { exact: true }).click();
await tab.reload();
await tab.click('#conversations li >> nth=0 >> button >> nth=0');
await unharmed(tab);
await tab.click('#mode >> text=Completion');
await write(tab, ATTACK);
await ended(tab, 2);
await unharmed(tab);
passed('markup and scripts in names, answers, thoughts and prompts are text, and do nothing');

await write(tab, 'lines');
await ended(tab, 3);
assert.deepEqual(await tab.$$eval(`${answer} .token[data-newlines]`, all => all.map(token => token.dataset.newlines)),
  ['↵', '↵↵', '↵']);
assert.equal(await tab.locator(`${answer} .token:empty`).count(), 0);
assert.equal(await tab.textContent(answer), 'linesOne line,\nand another.\n\nThe end\n');
await shot(tab, 'lines');
passed('newline tokens are seen');

// Stops and errors

await tab.click('#new');
await tab.click('#mode >> text=Chat');
for (const [place, stop] of [() => tab.keyboard.press('Escape'), () => tab.click('#stop')].entries()) {
  await write(tab, 'slow');
  await tab.locator(`${answer} .token >> nth=3`).waitFor();
  assert.ok(await tab.isHidden('#send'));
  await tab.click('#conversations [aria-current]'); // it is open already
  await stop();
  await ended(tab, place);
  assert.match(await tab.textContent(`${last} footer span`), /: stopped$/);
  assert.ok(await tab.locator(`${answer} .token`).count() < 400);
  assert.ok(await tab.isVisible('#send'));
}
passed('Escape and the button stop an answer');

const wrong = await tab.evaluate(() => {
  const probe = document.body.appendChild(document.createElement('i'));
  probe.className = 'error';
  return getComputedStyle(probe).color;
});
await tab.click('#new');
await write(tab, 'busy');
await tab.locator('.timer', { hasText: 'Next try in 1 s' }).waitFor();
assert.equal(await tab.textContent(`${last} [role=alert]`), 'too many requests are waiting');
assert.equal(await colour(tab, `${last} [role=alert]`), wrong);
await tab.locator(`${last} footer`, { hasText: 'end of sequence' }).waitFor();
assert.equal(await tab.textContent(answer), 'There is room now.');
assert.equal(server.requests.filter(({ messages: sent }) => sent?.at(-1).content === 'busy').length, 3);
passed('a busy server is asked again when it says so');

await write(tab, 'down');
await tab.locator('.timer', { hasText: /Next try in 59\d s/ }).waitFor();
await accessible(tab, 'a countdown');
await shot(tab, 'countdown');
await tab.click('#stop');
await ended(tab, 1);
for (const [name, sentence, text] of [
  ['never', 'too many requests are waiting', ''],
  ['cut', 'The answer broke off.', 'This will not be'],
  ['broken', 'the engine has failed', 'This fails'],
]) {
  await tab.click('#new');
  await write(tab, name);
  await ended(tab);
  assert.equal(await tab.textContent(`${last} [role=alert]`), sentence);
  assert.equal(await colour(tab, `${last} [role=alert]`), wrong);
  assert.equal(await tab.textContent(answer), text);
  const before = server.requests.length;
  await tab.click('text=Try again');
  await ended(tab);
  assert.equal(server.requests.length, before + 1);
  assert.equal(await tab.locator('article').count(), 1);
}
await shot(tab, 'failed');
passed('errors are in their colour, and asked again by a button');

// History

const all = await titles(tab);
assert.deepEqual(all, ['broken', 'cut', 'never', 'busy', 'slow', 'tools', 'markdown', 'thinking']);
await tab.reload();
await tab.waitForSelector('.cell');
assert.deepEqual(await titles(tab), all);
await tab.click('#conversations >> text=markdown');
assert.equal(await tab.locator('article').count(), 2);
assert.deepEqual(await tab.$$eval('article:nth-of-type(1) > .written .token',
  tokens => tokens.map(token => `${token.textContent} ${token.dataset.expert}`)), words);
assert.equal(await tab.inputValue('#system'), 'Be brief.');
tab.once('dialog', dialog => dialog.dismiss());
await tab.click('#conversations li:has([aria-current]) >> button >> nth=1');
assert.deepEqual(await titles(tab), all);
tab.once('dialog', dialog => dialog.accept());
await tab.click('#conversations li:has([aria-current]) >> button >> nth=1');
assert.deepEqual(await titles(tab), all.filter(title => title !== 'markdown'));
assert.equal(await tab.locator('article').count(), 0);
await write(tab, 'slow');
await tab.locator(`${answer} .token >> nth=3`).waitFor();
tab.once('dialog', dialog => dialog.accept());
await tab.click('#conversations li:has([aria-current]) >> button >> nth=1');
await tab.locator('#texts[aria-busy=false]').waitFor();
assert.equal((await titles(tab)).filter(title => title === 'slow').length, 1, 'what was deleted comes back');
passed('conversations are kept, opened and deleted');

/** Fills what the browser gives except for some characters, beside the old conversation. */
const fill = (room, old) => tab.evaluate(([free, { texts = [], ...rest }]) => {
  const first = { id: '1', title: 'old', changed: 1, model: '', shape: '', system: '', texts, ...rest };
  localStorage.setItem('panamoe.conversation.1', JSON.stringify(first));
  localStorage.setItem('room', 'x'.repeat(free));
  for (let size = 2 ** 22; size > 0; size >>= 1) {
    try {
      localStorage.setItem(`filler${size}`, 'x'.repeat(size));
    } catch { }
  }
  localStorage.removeItem('room');
}, [room, old]);
const empty = beginning => tab.evaluate(name => Object.keys(localStorage)
  .filter(key => key.startsWith(name)).forEach(key => localStorage.removeItem(key)), beginning);
const stored = () => tab.evaluate(() => Object.values(localStorage).find(text => text.includes('"title":"markdown"')));
const bare = text => text.replace(/\[\[[\d,]*\]\]/g, '[]'); // without experts
await fill(0, { system: 'x'.repeat(2 ** 21) });
await write(tab, 'lines');
await ended(tab);
assert.ok((await titles(tab)).includes('lines'));
assert.ok(!(await titles(tab)).includes('old'));
await empty('filler');
passed('the oldest conversations make room for a new one');

await tab.click('#new');
await write(tab, 'markdown');
await ended(tab);
const whole = await stored();
await empty('panamoe.conversation');
await fill(Math.round((whole.length + bare(whole).length) / 2), {});
await tab.click('#new');
await write(tab, 'markdown');
await ended(tab);
assert.equal(await stored(), bare(await stored()));
assert.match(await tab.textContent(`${last} .note`), /keeps it without them\.$/);
await tab.reload();
await tab.waitForSelector('.cell');
assert.deepEqual(await titles(tab), ['markdown', 'old']);
await tab.click('#conversations >> text=markdown');
assert.equal(await tab.textContent(`${answer} h3`), 'Sorting by merging');
assert.equal(await tab.locator('.token[data-expert]').count(), 0);
await empty('filler');
await empty('panamoe.conversation');
await fill(0, {});
await tab.click('#new');
await write(tab, 'markdown');
await ended(tab);
assert.match(await tab.textContent(`${last} .note`), /lasts as long as the page\.$/);
assert.equal(await tab.locator('.note').count(), 1);
await tab.reload();
await tab.waitForSelector('.cell');
assert.deepEqual(await titles(tab), ['old']);
await empty('filler');
passed('a conversation that is too long loses its experts, and no other one');

// Experts

await tab.click('#new');
await write(tab, 'markdown');
await ended(tab);
const shares = () => tab.$$eval('#legend [data-expert]:not([hidden]) span',
  chips => chips.map(chip => parseFloat(chip.textContent)));
await tab.mouse.move(600, 300);
assert.equal((await shares()).length, 10);
assert.deepEqual(await shares(), (await shares()).toSorted((one, other) => other - one));
await tab.click('text=Show all 24');
assert.equal((await shares()).length, 24);
assert.deepEqual(await shares(), (await shares()).toSorted((one, other) => other - one));
await tab.click('text=Show the ten busiest');
assert.equal((await shares()).length, 10);
assert.ok(await tab.isChecked('#numbers'));
assert.equal(await tab.locator('#legend .hatched').count(), 8);
await tab.selectOption('#layer', { index: 1 });
assert.equal(await tab.isChecked('#numbers'), false);
assert.ok(await tab.isHidden('#legend .more'));
await tab.selectOption('#layer', { index: 0 });
const background = () => tab.locator(`${answer} .token >> nth=5`).evaluate(token => getComputedStyle(token).boxShadow);
assert.notEqual(await background(), 'none');
await tab.uncheck('#colours');
assert.equal(await background(), 'none');
await tab.check('#colours');
passed('the ten busiest experts come first, and colours can be turned off');

await tab.selectOption('#layer', { index: 1 });
for (const theme of ['light', 'dark']) {
  await choose(tab, theme);
  await apart(tab, kind => shot(tab, `${theme}-${kind}`));
}
await tab.selectOption('#layer', { index: 0 });
await choose(tab, 'light');
passed('colours stay apart for the colour-blind');

for (const theme of ['light', 'dark']) {
  await choose(tab, theme);
  for (const viewport of [WIDE, MIDDLE]) {
    await tab.setViewportSize(viewport);
    await tab.$eval('#texts', texts => (texts.scrollTop = 0));
    await accessible(tab, `an answer, ${theme}, ${viewport.width} px`);
    await shot(tab, `answer-${theme}-${viewport.width}`);
    await tab.click('#to-settings');
    await accessible(tab, `settings, ${theme}, ${viewport.width} px`);
    await shot(tab, `settings-${theme}-${viewport.width}`);
    await tab.click('#to-settings');
  }
  await tab.setViewportSize(WIDE);
}
await tab.done();

// A phone

const phone = await open(server.url, { viewport: NARROW, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
await phone.waitForFunction(() => document.title !== 'Panamoe');
await phone.fill('#prompt', 'markdown');
await phone.tap('#send');
await ended(phone);
/** What a thumb cannot hit, or what is cut off. */
const CONTROLS = 'button, select, summary, .switch span, #settings input';
const small = () => phone.$$eval(CONTROLS, (controls, least) => controls
  .filter(control => control.checkVisibility({ visibilityProperty: true }))
  .map(control => [control, control.getBoundingClientRect()])
  .filter(([, { height, left, right }]) => height < least || left < 0 || right > innerWidth)
  .map(([control, { height }]) => `${control.outerHTML.slice(0, 60)} ${height}`), THUMB);
for (const theme of ['light', 'dark']) {
  await choose(phone, theme);
  for (const [name, show, hide] of [
    ['answer', () => phone.$eval('#texts', texts => (texts.scrollTop = 0)), () => {}],
    ['settings', () => phone.tap('#to-settings'), () => phone.tap('#to-settings')],
    ['history', () => phone.tap('#to-history'), () => phone.tap('#history .close')],
    ['experts', () => phone.tap('#to-experts'), () => phone.tap('#experts .close')],
  ]) {
    await show();
    assert.deepEqual(await small(), [], name);
    await accessible(phone, `${name}, ${theme}, ${NARROW.width} px`);
    await shot(phone, `${name}-${theme}-${NARROW.width}`);
    await hide();
  }
}
await phone.tap('#to-experts');
assert.ok(await phone.isVisible('#map'));
await phone.tap('#map .cell >> nth=2');
assert.match(await phone.textContent('#tip'), /layer 1, expert 2/);
assert.ok(await phone.isVisible('#tip:popover-open'), 'the tip is above the sheet');
await phone.touchscreen.tap(200, 100);
assert.ok(await phone.isHidden('#map'));
passed('experts and conversations are sheets on a phone, which a tap beside them closes');
await phone.fill('#prompt', 'slow');
await phone.tap('#send');
await phone.locator(`${answer} .token >> nth=3`).waitFor();
await phone.tap('#to-experts');
await phone.keyboard.press('Escape');
assert.ok(await phone.isHidden('#map'));
assert.ok(await phone.isVisible('#stop'), 'Escape closes the sheet first');
await phone.keyboard.press('Escape');
await ended(phone, 1);
passed('Escape closes a sheet before it stops an answer');
await phone.done();
await browser.close();
server.close();
