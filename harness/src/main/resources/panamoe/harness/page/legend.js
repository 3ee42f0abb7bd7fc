// The legend of one layer: a chip for each expert; a pressed one colours its tokens only.

import { PALETTE, paint } from './colours.js';
import { percent, sum } from './numbers.js';

export class Legend {
  #element;
  #numbers;
  #onOnly;
  #chips = [];

  /**
   * @param {HTMLElement} element
   * @param {HTMLInputElement} numbers whether tokens have their experts' numbers
   * @param {(expert: ?number) => void} onOnly gets the expert whose tokens to show; null for all
   */
  constructor(element, numbers, onOnly) {
    this.#element = element;
    this.#numbers = numbers;
    this.#onOnly = onOnly;
    numbers.addEventListener('change', () => this.#number(numbers.checked));
  }

  #number(on) {
    this.#numbers.checked = on;
    document.body.classList.toggle('numbered', on);
  }

  /** Makes a chip for each expert, and turns numbers on where colours repeat. */
  build(experts) {
    this.#number(experts > PALETTE);
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
