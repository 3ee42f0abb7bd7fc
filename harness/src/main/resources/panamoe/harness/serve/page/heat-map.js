// The map: a row for each MoE layer, a cell for each expert, darker with its share of the layer's tokens.

import { paint } from './colours.js';
import { Cursor } from './cursor.js';
import { percent, sum } from './numbers.js';

/** Experts in a line; more continue in the next. */
const LINE = 64;
/** More cells than this change without a transition, which would be slow. */
const SMOOTH = 600;

export class HeatMap {
  #element;
  #layers = [];
  #counts = [];
  #rows = [];
  #cells = []; // for each layer, its cells
  #warm = new WeakMap(); // cell to the heat that it shows
  #at = new WeakMap(); // cell to its layer's index and its expert
  #cursor;

  /**
   * @param {HTMLElement} element
   * @param {(layer: number) => void} onChoose gets the index of the clicked MoE layer
   */
  constructor(element, onChoose) {
    this.#element = element;
    this.#cursor = new Cursor(element, '.cell', cell => this.#describe(cell));
    element.addEventListener('click', event => {
      const row = this.#rows.indexOf(event.target.closest('.row'));
      if (row >= 0) {
        onChoose(row);
      }
    });
  }

  /** Makes the cells. */
  build(layers) {
    this.#layers = layers;
    const widest = Math.min(LINE, Math.max(...layers.map(layer => layer.experts)));
    const lines = sum(layers.map(layer => Math.ceil(layer.experts / LINE)));
    this.#element.style.setProperty('--columns', widest);
    this.#element.style.setProperty('--height', `${lines > 24 ? 8 : lines > 6 ? 16 : 30}px`);
    this.#cells = layers.map(() => []);
    this.#rows = layers.map((layer, at) => {
      const row = document.createElement('div');
      row.className = 'row';
      const name = row.appendChild(document.createElement('span'));
      name.textContent = `layer ${layer.layer}`;
      const line = row.appendChild(document.createElement('div'));
      for (let expert = 0; expert < layer.experts; expert++) {
        const cell = line.appendChild(document.createElement('i'));
        cell.className = 'cell';
        paint(cell, expert);
        this.#at.set(cell, [at, expert]);
        this.#cells[at].push(cell);
      }
      return row;
    });
    this.#element.classList.toggle('smooth', sum(layers.map(layer => layer.experts)) <= SMOOTH);
    this.#element.replaceChildren(...this.#rows);
  }

  /** Marks the layer whose experts colour the tokens. */
  choose(layer) {
    this.#rows.forEach((row, at) => row.classList.toggle('chosen', at === layer));
  }

  /** Shows the tokens of each expert, for each layer. */
  show(counts) {
    this.#counts = counts;
    counts.forEach((layer, at) => {
      const even = sum(layer) / layer.length;
      layer.forEach((count, expert) => {
        // 0 for no tokens, a half for the even share, 0.94 for four times that.
        const heat = even === 0 ? 0 : 5 * Math.round(20 * (1 - 2 ** (-count / even)));
        const cell = this.#cells[at][expert];
        cell.classList.toggle('none', count === 0);
        if (this.#warm.get(cell) !== heat) {
          this.#warm.set(cell, heat);
          cell.style.setProperty('--heat', `${heat}%`);
        }
      });
    });
    this.#cursor.refresh();
  }

  /** Underlines the cells whose experts got tokens between two counts of the server. */
  light(before, now) {
    now.forEach((layer, at) =>
      layer.forEach((count, expert) => this.#cells[at][expert].classList.toggle('lit', count > before[at][expert])),
    );
  }

  /** Rings the experts of a token, one in each layer; null: none. */
  ring(experts) {
    this.#element.querySelectorAll('.ring').forEach(cell => cell.classList.remove('ring'));
    experts?.forEach((expert, at) => this.#cells[at][expert].classList.add('ring'));
  }

  #describe(cell) {
    const [at, expert] = this.#at.get(cell);
    const all = sum(this.#counts[at]);
    const count = this.#counts[at][expert];
    const even = all === 0 ? '' : `, ${((count * this.#layers[at].experts) / all).toFixed(1)} × the even share`;
    return [
      { text: `layer ${this.#layers[at].layer}, expert ${expert}`, swatch: element => paint(element, expert) },
      { text: `${count} of ${all} tokens` },
      { text: percent(count, all) + even },
    ];
  }
}
