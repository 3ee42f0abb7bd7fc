// The legend of one layer: a chip for each expert, which shows its tokens only.

import { paint } from './colours.js';
import { percent, sum } from './numbers.js';

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
