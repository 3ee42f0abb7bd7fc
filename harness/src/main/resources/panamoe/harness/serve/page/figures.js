// What the map shows in numbers: the legend of one layer, and the table of all.

import { paint } from './colours.js';
import { entropy, percent, sum } from './heat-map.js';

export class Legend {
  #element;
  #onOnly;
  #chips = [];

  /**
   * @param {HTMLElement} element
   * @param {(expert: ?number) => void} onOnly is told which expert's tokens to show; null for all
   */
  constructor(element, onOnly) {
    this.#element = element;
    this.#onOnly = onOnly;
  }

  /** Makes a chip for each expert. */
  build(experts) {
    this.#chips = Array.from({ length: experts }, (_, expert) => {
      const chip = document.createElement('button');
      chip.type = 'button';
      chip.setAttribute('aria-pressed', 'false');
      const swatch = chip.appendChild(document.createElement('i'));
      swatch.className = 'swatch';
      paint(chip, expert);
      const number = chip.appendChild(document.createElement('b'));
      number.textContent = expert;
      chip.appendChild(document.createElement('span'));
      chip.addEventListener('click', () => this.#press(expert));
      return chip;
    });
    this.#element.replaceChildren(...this.#chips);
    this.#onOnly(null);
  }

  #press(expert) {
    const on = this.#chips[expert].getAttribute('aria-pressed') === 'false';
    this.#chips.forEach((chip, at) => chip.setAttribute('aria-pressed', String(on && at === expert)));
    this.#onOnly(on ? expert : null);
  }

  /** Shows the tokens of each expert. */
  show(counts) {
    const all = sum(counts);
    const most = Math.max(1, ...counts);
    this.#chips.forEach((chip, expert) => {
      chip.lastChild.textContent = all === 0 ? '' : percent(counts[expert], all);
      chip.style.setProperty('--part', `${((100 * counts[expert]) / most).toFixed(0)}%`);
    });
  }
}

/** Fills the table; nobody sees it while it is closed. */
export function showTable(details, layers, counts) {
  if (!details.open) {
    return;
  }
  details.querySelector('tbody').replaceChildren(
    ...layers.map((layer, at) => {
      const all = sum(counts[at]);
      const most = Math.max(...counts[at]);
      const cells = [
        layer.layer,
        layer.experts,
        all,
        `${entropy(counts[at]).toFixed(2)} of ${Math.log2(layer.experts).toFixed(2)}`,
        all === 0 ? '–' : `${counts[at].indexOf(most)} (${percent(most, all)})`,
        counts[at].filter(count => count === 0).length,
      ];
      const row = document.createElement('tr');
      cells.forEach(value => (row.insertCell().textContent = value));
      return row;
    }),
  );
}
