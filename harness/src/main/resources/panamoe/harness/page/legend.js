// The legend of one layer: a chip for each expert, the busiest first; a pressed one colours its tokens only.

import { PALETTE, paint } from './colours.js';
import { percent, sum } from './numbers.js';

/** The experts that are shown, unless all are asked for. */
const BUSIEST = 10;

export class Legend {
  #element;
  #numbers;
  #onOnly;
  #chips = [];
  #more = document.createElement('button');
  #all = false; // whether all experts are shown

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
    this.#more.type = 'button';
    this.#more.className = 'more';
    this.#more.addEventListener('click', () => {
      this.#all = !this.#all;
      this.#fold();
    });
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
      chip.dataset.expert = expert;
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
    this.#element.replaceChildren(...this.#chips, this.#more);
    this.#fold();
    this.#onOnly(null);
  }

  #press(expert) {
    const on = this.#chips[expert].getAttribute('aria-pressed') === 'false';
    this.#chips.forEach((chip, at) => chip.setAttribute('aria-pressed', String(on && at === expert)));
    this.#onOnly(on ? expert : null);
  }

  #fold() {
    const chips = [...this.#element.children].filter(chip => chip !== this.#more);
    chips.forEach((chip, rank) => {
      const pressed = chip.getAttribute('aria-pressed') === 'true';
      chip.hidden = rank >= BUSIEST && !this.#all && !pressed;
    });
    this.#more.hidden = chips.length <= BUSIEST;
    this.#more.textContent = this.#all ? 'Show the ten busiest' : `Show all ${chips.length}`;
  }

  #sort(counts) {
    const order = this.#chips.toSorted((one, other) => counts[other.dataset.expert] - counts[one.dataset.expert]);
    if (order.some((chip, rank) => chip !== this.#element.children[rank])) {
      this.#element.append(...order, this.#more);
    }
    this.#fold();
  }

  /** Shows the tokens of each expert. */
  show(counts) {
    const all = sum(counts);
    const most = Math.max(1, ...counts);
    this.#chips.forEach((chip, expert) => {
      chip.lastChild.textContent = all === 0 ? '' : percent(counts[expert], all);
      chip.style.setProperty('--part', `${((100 * counts[expert]) / most).toFixed(0)}%`);
    });
    // Chips do not move away from under a pointer or a key.
    if (!this.#element.matches(':hover, :focus-within')) {
      this.#sort(counts);
    }
  }
}
