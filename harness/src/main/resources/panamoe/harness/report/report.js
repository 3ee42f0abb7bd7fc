// Wires the page: the chosen layer, the tokens in their experts' colours, plots, and reloads while the run goes on.

import { Legend } from './legend.js';
import { sum } from './numbers.js';
import { addPlots } from './plots.js';
import { TokenText } from './token-text.js';

const RELOAD_MILLIS = 10_000;
const DEAD_MILLIS = 3_600_000; // a run that has not written for so long was killed
const KEPT = 'panamoe.report'; // what a reload keeps, in the session's storage

/** A token's experts in a layer. */
function routes({ sent, expert: experts, weight: weights }, token) {
  return experts[token].map((expert, at) => ({ expert, [at < sent ? 'weight' : 'score']: weights[token][at] }));
}

/** Replaces a plain text by its tokens. */
function drawText(article, { pieces, lengths, layers }) {
  const text = new TokenText(layers);
  const plain = article.querySelector('p');
  const prompt = plain.querySelector('.prompt');
  text.element.lang = plain.lang;
  text.element.append(...(prompt === null ? [] : [prompt]));
  let token = 0;
  pieces.forEach((piece, at) => {
    const rows = Array.from({ length: lengths[at] }, (_, next) => layers.map(layer => routes(layer, token + next)));
    text.add(piece, rows);
    token += lengths[at];
  });
  plain.replaceWith(text.element);
  return text;
}

/** Draws the texts, and returns what colours them by a layer. */
function drawTexts(data) {
  const { layers } = data[0];
  const texts = data.map((one, at) => drawText(document.querySelector(`article[data-text="${at}"]`), one));
  const legend = new Legend(document.getElementById('legend'), document.getElementById('numbers'),
    expert => texts.forEach(text => text.only(expert)));
  return layer => {
    const at = layers.findIndex(({ layer: number }) => String(number) === layer);
    if (at < 0) {
      return;
    }
    texts.forEach(text => text.colour(at));
    legend.build(layers[at].experts);
    legend.show(texts[0].counts[at].map((_, expert) => sum(texts.map(text => text.counts[at][expert]))));
  };
}

const data = document.getElementById('routes');
const colour = data === null ? () => {} : drawTexts(JSON.parse(data.textContent));
const selects = [...document.querySelectorAll('select.layer')];

/** Shows a layer in all parts of the page. */
function choose(layer) {
  selects.forEach(select => (select.value = layer));
  document.querySelectorAll('[data-layer]').forEach(part => (part.hidden = part.dataset.layer !== layer));
  colour(layer);
}

if (selects.length > 0) {
  document.querySelectorAll('.choices').forEach(part => (part.hidden = false));
  selects.forEach(select => select.addEventListener('change', () => choose(select.value)));
  choose(selects[0].options[0].value);
}
addPlots();

const controls = () => [...document.querySelectorAll('select, button, input, summary, [tabindex]')];
let used = 0; // when somebody last pointed at the page or pressed a key
['pointermove', 'pointerdown', 'keydown'].forEach(type => addEventListener(type, () => (used = Date.now())));

/** Loads the page again, unless somebody uses it. */
function reload() {
  if (Date.now() - used >= RELOAD_MILLIS) {
    sessionStorage.setItem(KEPT, JSON.stringify({
      top: scrollY,
      layer: selects[0]?.value,
      open: [...document.querySelectorAll('details')].map(details => details.open),
      focus: controls().indexOf(document.activeElement),
    }));
    location.reload();
  }
}

const kept = JSON.parse(sessionStorage.getItem(KEPT));
if (kept !== null) {
  sessionStorage.removeItem(KEPT);
  document.querySelectorAll('details').forEach((details, at) => (details.open = kept.open[at] ?? false));
  if (selects[0]?.querySelector(`[value="${kept.layer}"]`)) {
    choose(kept.layer);
  }
  controls()[kept.focus]?.focus({ preventScroll: true });
  scrollTo(0, kept.top);
}
const written = document.querySelector('#running time');
if (written !== null && Date.now() - Date.parse(written.dateTime) < DEAD_MILLIS) {
  setInterval(reload, RELOAD_MILLIS);
}
