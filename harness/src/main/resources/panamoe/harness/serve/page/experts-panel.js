// The panel of experts: map, legend and table of the counts that are chosen, and the layer that colours the tokens.

import { HeatMap } from './heat-map.js';
import { Legend } from './legend.js';
import { showTable } from './table.js';

const at = id => document.getElementById(id);

export class ExpertsPanel {
  /** MoE layers of the model. */
  layers = [];
  /** The index of the MoE layer whose experts colour the tokens. */
  layer = 0;
  /** The one expert whose tokens are coloured; null for all. */
  only = null;
  #texts;
  #since = []; // tokens of each expert since the server started
  #ever = []; // those and the kept counts of earlier servers
  #map = new HeatMap(at('map'), index => this.#choose(index));
  #legend = new Legend(at('legend'), at('numbers'), expert => {
    this.only = expert;
    this.#texts().forEach(text => text.only(expert));
  });

  /** @param {() => WrittenText[]} texts the completions on the page */
  constructor(texts) {
    this.#texts = texts;
    at('layer').addEventListener('change', () => this.#choose(Number(at('layer').value)));
    at('figures').addEventListener('toggle', () => this.show());
    at('scope').addEventListener('change', () => {
      this.#map.light(this.#since, this.#since);
      this.show();
    });
  }

  /** Makes the panel of a model; a model without MoE layers has no panel. */
  build(layers) {
    this.layers = layers;
    const none = layers.length === 0;
    at('experts').hidden = none;
    at('to-experts').hidden = none;
    if (none) {
      return;
    }
    this.#count(layers);
    this.#map.build(layers);
    at('layer').replaceChildren(
      ...layers.map(({ layer: number, experts, top_k: topK }, index) => {
        const each = topK > 1 ? `, ${topK} for each token` : '';
        return new Option(`${number} (${experts} experts${each})`, index);
      }),
    );
    this.#choose(0);
  }

  /** Whether the server's counts are shown. */
  get counting() {
    return this.layers.length > 0 && this.#scope !== 'text';
  }

  get #scope() {
    return document.querySelector('input[name=scope]:checked').value;
  }

  /** Shows the server's counts, and those that earlier servers kept. */
  update(found) {
    this.#map.light(this.#since, found.map(({ tokens }) => tokens));
    this.#count(found);
    this.show();
  }

  #count(found) {
    this.#since = found.map(({ tokens }) => tokens);
    this.#ever = found.map(({ tokens, tokens_before: before }) => tokens.map((own, at) => own + (before?.[at] ?? 0)));
    at('kept').hidden = found.every(({ tokens_before: before }) => before === undefined);
  }

  #choose(index) {
    this.layer = index;
    at('layer').value = index;
    this.#map.choose(index);
    this.#texts().forEach(text => text.colour(index));
    this.#legend.build(this.layers[index].experts);
    this.show();
  }

  /** Rings the experts of a token in the map, one in each layer; null: none. */
  ring(experts) {
    this.#map.ring(experts);
  }

  /** Draws the chosen counts. */
  show() {
    if (this.layers.length > 0) {
      const nothing = () => this.layers.map(({ experts }) => new Array(experts).fill(0));
      const last = this.#texts().at(-1)?.counts;
      const counts = { all: this.#since, ever: this.#ever, text: last ?? nothing() }[this.#scope];
      this.#map.show(counts);
      this.#legend.show(counts[this.layer]);
      showTable(at('figures'), this.layers, counts);
    }
  }
}
