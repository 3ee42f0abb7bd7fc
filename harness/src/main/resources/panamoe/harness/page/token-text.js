// A sequence whose tokens have their experts' colours; arrow keys go from token to token.

import { paint } from './colours.js';
import { Cursor } from './cursor.js';

/** The most MoE layers that a tip lists; of more, it has the chosen one. */
const LAYERS_LISTED = 8;

/**
 * An expert to which a token is routed, with the weight of its output if known; or an expert with the next best score.
 * @typedef {{expert: number, weight?: number, score?: number}} Route
 */
export class TokenText {
  element = document.createElement('div');
  /** For each MoE layer, the tokens of each expert. */
  counts;
  #layers;
  #layer = 0;
  #only = null;
  #pieces = []; // {piece, rows, start}, where start is the piece's place in the sequence
  #length = 0;
  #ofElement = new WeakMap(); // element to its piece

  /**
   * @param {{layer: number, experts: number}[]} layers the MoE layers
   * @param {(rows: Route[][][]) => void} onMark gets the rows of the marked token; [] if none is marked
   * @param {string} name for screen readers
   */
  constructor(layers, onMark = () => {}, name = 'Sequence') {
    this.#layers = layers;
    this.counts = layers.map(layer => new Array(layer.experts).fill(0));
    this.element.className = 'written';
    this.element.tabIndex = 0;
    this.element.setAttribute('role', 'group');
    this.element.setAttribute('aria-label', `${name}; arrow keys go from token to token`);
    new Cursor(this.element, '.token', token => this.#describe(token), token => {
      onMark(token === null ? [] : this.#ofElement.get(token).rows);
    });
  }

  /** Whether it has no token yet. */
  get empty() {
    return this.#length === 0;
  }

  /** Adds a piece of the sequence, and shows it as it is. */
  add(piece, rows) {
    const start = this.#length;
    this.record(piece, rows);
    this.element.append(...this.nodes(start, this.#length));
  }

  /**
   * Adds a piece of the sequence, to be shown by its {@link nodes}.
   *
   * @param {string} piece empty: its tokens are only counted
   * @param {Route[][][]} rows [token of the piece][MoE layer][route], the largest weight first; empty for a dense model
   */
  record(piece, rows) {
    rows.forEach(row => row.forEach(([route], at) => this.counts[at][route.expert]++));
    if (piece !== '') {
      this.#pieces.push({ piece, rows, start: this.#length });
      this.#length += piece.length;
    }
  }

  /** The tokens and blanks of a part of the sequence. */
  nodes(start, end) {
    const nodes = [];
    const first = this.#pieces.findLastIndex(piece => piece.start <= start);
    for (let at = first; this.#pieces[at]?.start < end; at++) {
      const { piece, start: from } = this.#pieces[at];
      const part = piece.slice(Math.max(0, start - from), end - from);
      nodes.push(...(part === '' ? [] : this.#draw(part, this.#pieces[at])));
    }
    return nodes;
  }

  #draw(part, piece) {
    const token = document.createElement('span');
    token.className = 'token';
    // Blanks around a word are not coloured, unless the token has nothing else.
    const word = part.trim() || part;
    const start = part.indexOf(word);
    token.textContent = word;
    if (/^\s*\n\s*$/.test(word)) {
      token.dataset.newlines = '↵'.repeat(word.split('\n').length - 1);
    }
    this.#ofElement.set(token, piece);
    this.#colour(token);
    return [part.slice(0, start), token, part.slice(start + word.length)];
  }

  get #tokens() {
    return this.element.querySelectorAll('.token');
  }

  /** Colours all tokens by their experts in an MoE layer. */
  colour(layer) {
    this.#layer = layer;
    this.#tokens.forEach(token => this.#colour(token));
  }

  #colour(token) {
    const { rows } = this.#ofElement.get(token);
    if (rows.length > 0) {
      const [{ expert }] = rows[0][this.#layer];
      token.dataset.expert = expert;
      paint(token, expert);
      this.#fade(token);
    }
  }

  /** Colours only one expert's tokens; null: all. */
  only(expert) {
    this.#only = expert;
    this.#tokens.forEach(token => this.#fade(token));
  }

  #fade(token) {
    token.classList.toggle('other', this.#only !== null && token.dataset.expert !== String(this.#only));
  }

  #describe(token) {
    const { piece, rows } = this.#ofElement.get(token);
    const count = rows.length > 1 ? ` (${rows.length} tokens)` : '';
    const lines = this.#layers
      .map((layer, at) => ({
        text: `layer ${layer.layer}: ${rows.map(row => inWords(row[at])).join('; ')}`,
        swatch: element => paint(element, rows[0][at][0].expert),
      }))
      .filter((_, at) => this.#layers.length <= LAYERS_LISTED || at === this.#layer);
    return [{ text: `“${piece.replaceAll('\n', '↵')}”${count}` }, ...(rows.length > 0 ? lines : [])];
  }
}

function inWords([first, second]) {
  const which = second?.score === undefined ? 'second' : 'next';
  return `expert ${worth(first)}${second === undefined ? '' : `; ${which} ${worth(second)}`}`;
}

function worth({ expert, weight, score }) {
  if (weight === undefined && score === undefined) {
    return `${expert}`;
  }
  return weight === undefined ? `${expert}, score ${score.toFixed(2)}` : `${expert}, weight ${weight.toFixed(2)}`;
}
