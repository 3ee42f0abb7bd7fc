// Wires the page: the texts' tokens in their experts' colours, and crosshairs over the curves.

import { addCrosshairs } from './crosshair.js';
import { Legend } from './legend.js';
import { sum } from './numbers.js';
import { TokenText } from './token-text.js';

/** A token's experts in a layer. */
function routes({ sent, expert: experts, weight: weights }, token) {
  return experts[token].map((expert, at) => ({ expert, [at < sent ? 'weight' : 'score']: weights[token][at] }));
}

/** Puts each token of a text in the place of its plain text. */
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

function drawTexts(shown) {
  const { layers } = shown[0];
  const texts = shown.map((one, at) => drawText(document.querySelector(`article[data-text="${at}"]`), one));
  const legend = new Legend(document.getElementById('legend'), expert => texts.forEach(text => text.only(expert)));
  const select = document.getElementById('layer');
  select.replaceChildren(
    ...layers.map(({ layer, experts }, at) => new Option(`${layer} (${experts} experts)`, at)),
  );
  const choose = () => {
    const at = Number(select.value);
    texts.forEach(text => text.colour(at));
    legend.build(layers[at].experts);
    legend.show(texts[0].counts[at].map((_, expert) =>
      sum(texts.map(text => text.counts[at][expert]))));
  };
  select.addEventListener('change', choose);
  choose();
  const numbers = document.getElementById('numbers');
  const show = () => document.body.classList.toggle('numbered', numbers.checked);
  numbers.addEventListener('change', show);
  show(); // a browser keeps what was ticked when a page is loaded again
  document.getElementById('choices').hidden = false;
}

const told = document.getElementById('routes');
if (told !== null) {
  drawTexts(JSON.parse(told.textContent));
}
addCrosshairs();
