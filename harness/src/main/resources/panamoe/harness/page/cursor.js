// Marks one item of a container, under the pointer or moved by arrow keys, and shows its tip.

import { hideTip, showTip } from './tip.js';

export class Cursor {
  #container;
  #selector;
  #describe;
  #onMark;
  #chosen = null; // by a key or a press; stays while the container has the focus
  #marked = null;

  /**
   * @param {HTMLElement} container that can have the focus
   * @param {string} selector of its items
   * @param {(item: HTMLElement) => import('./tip.js').Line[]} describe
   * @param {(item: ?HTMLElement) => void} onMark is called at each change
   */
  constructor(container, selector, describe, onMark = () => {}) {
    this.#container = container;
    this.#selector = selector;
    this.#describe = describe;
    this.#onMark = onMark;
    container.addEventListener('pointerover', event => this.#mark(this.#itemAt(event) ?? this.#stay()));
    container.addEventListener('pointerleave', () => this.#mark(this.#stay()));
    container.addEventListener('pointerdown', event => {
      this.#chosen = this.#itemAt(event) ?? this.#chosen;
    });
    container.addEventListener('focus', () => this.#choose(this.#chosen ?? this.#items()[0] ?? null));
    container.addEventListener('blur', () => this.#mark(null));
    container.addEventListener('keydown', event => this.#key(event));
  }

  /** Whether an item is marked. */
  get active() {
    return this.#marked !== null;
  }

  /** Shows the marked item's tip again. */
  refresh() {
    if (this.#marked !== null) {
      this.#show();
    }
  }

  #items() {
    return [...this.#container.querySelectorAll(this.#selector)];
  }

  #itemAt(event) {
    return event.target.closest(this.#selector);
  }

  #stay() {
    return document.activeElement === this.#container ? this.#chosen : null;
  }

  #choose(item) {
    this.#chosen = item;
    item?.scrollIntoView({ block: 'nearest' });
    this.#mark(item);
  }

  #key(event) {
    if (event.key === 'Escape') {
      this.#mark(null);
      return;
    }
    if (event.target !== this.#container) {
      return; // a box or a button in it has the focus
    }
    const items = this.#items();
    const at = items.indexOf(this.#chosen);
    const next = {
      ArrowLeft: () => items[Math.max(0, at - 1)],
      ArrowRight: () => items[Math.min(items.length - 1, at + 1)],
      ArrowUp: () => nearest(items, this.#chosen, -1),
      ArrowDown: () => nearest(items, this.#chosen, 1),
      Home: () => items[0],
      End: () => items.at(-1),
    }[event.key]?.();
    if (next) {
      event.preventDefault();
      this.#choose(next);
    }
  }

  #mark(item) {
    if (item === this.#marked) {
      return;
    }
    this.#marked?.classList.remove('marked');
    this.#marked = item;
    item?.classList.add('marked');
    this.#onMark(item);
    hideTip();
    this.refresh();
  }

  #show() {
    const box = this.#marked.getClientRects()[0] ?? this.#marked.getBoundingClientRect();
    showTip(this.#describe(this.#marked), box);
  }
}

/** The item of the next line, up (-1) or down (1), that is nearest. */
function nearest(items, from, direction) {
  const start = from.getBoundingClientRect();
  let best = null;
  let least = Infinity;
  for (const item of items) {
    const box = item.getBoundingClientRect();
    const lines = direction * (box.top - start.top);
    // The next line wins over any distance along it.
    const distance = 1e4 * lines + Math.abs(box.left - start.left);
    if (lines > 1 && distance < least) {
      least = distance;
      best = item;
    }
  }
  return best;
}
