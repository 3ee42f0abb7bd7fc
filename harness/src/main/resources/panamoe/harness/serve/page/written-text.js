// A text on the page: its prompt, and the model's tokens in their experts' colours.

import { paint } from './colours.js';
import { Cursor } from './cursor.js';

export class WrittenText {
  element = document.createElement('article');
  /** What the model has written. */
  text = '';
  /** For each MoE layer, the tokens of each expert. */
  counts;
  #layers;
  #body = document.createElement('p');
  #foot = document.createElement('footer');
  #tokens = new Map(); // element to its {piece, rows}; a row is an expert for each MoE layer
  #only = null;
  #started = performance.now();
  #drawn = 0;

  /**
   * @param {string} prompt
   * @param {boolean} chat whether the text answers the prompt, instead of going on with it
   * @param {{layer: number, experts: number}[]} layers the MoE layers
   * @param {(experts: ?number[]) => void} onMark is told the experts of the token that is looked at
   */
  constructor(prompt, chat, layers, onMark) {
    this.prompt = prompt;
    this.chat = chat;
    this.#layers = layers;
    this.counts = layers.map(layer => new Array(layer.experts).fill(0));
    const asked = document.createElement(chat ? 'p' : 'span');
    asked.className = 'prompt';
    asked.textContent = prompt;
    this.#body.className = 'written';
    this.#body.tabIndex = 0;
    this.#body.setAttribute('role', 'group');
    this.#body.setAttribute('aria-label', 'Text; arrow keys go from token to token');
    if (chat) {
      this.element.append(asked);
    } else {
      this.#body.append(asked);
    }
    this.element.append(this.#body, this.#foot);
    this.element.classList.toggle('chat', chat);
    new Cursor(this.#body, '.token', token => this.#describe(token), token => {
      onMark(token && (this.#tokens.get(token).rows[0] ?? null));
    });
  }

  /**
   * Adds what came of the text.
   *
   * @param {string} piece
   * @param {number} tokens of the piece
   * @param {number[][]} rows for each of them an expert of each MoE layer; empty for a dense model
   * @param {number} layer the MoE layer whose experts colour it
   */
  add(piece, tokens, rows, layer) {
    this.text += piece;
    this.#drawn += tokens;
    rows.forEach(row => row.forEach((expert, at) => this.counts[at][expert]++));
    const token = document.createElement('span');
    token.className = 'token';
    // Blanks around a word keep the paper's colour, except where they are all of the token.
    const word = piece.trim() || piece;
    const start = piece.indexOf(word);
    token.textContent = word;
    const before = this.chat && this.#tokens.size === 0 ? '' : piece.slice(0, start);
    this.#tokens.set(token, { piece, rows });
    this.#colour(token, rows, layer);
    this.#body.append(before, token, piece.slice(start + word.length));
  }

  /** Colours all tokens by another MoE layer. */
  colour(layer) {
    this.#tokens.forEach(({ rows }, token) => this.#colour(token, rows, layer));
  }

  #colour(token, rows, layer) {
    if (rows.length > 0) {
      token.dataset.expert = rows[0][layer];
      paint(token, rows[0][layer]);
      this.#fade(token);
    }
  }

  /** Leaves only one expert's tokens coloured; null for all. */
  only(expert) {
    this.#only = expert;
    this.#tokens.forEach((_, token) => this.#fade(token));
  }

  #fade(token) {
    token.classList.toggle('other', this.#only !== null && token.dataset.expert !== String(this.#only));
  }

  /** Says below the text how it ended. */
  end(how, seed) {
    const seconds = (performance.now() - this.#started) / 1000;
    const speed = (this.#drawn / seconds).toFixed(this.#drawn < 10 * seconds ? 1 : 0);
    this.#foot.textContent = `${this.#drawn} tokens, ${speed} a second, seed ${seed}: ${how}`;
  }

  /** Says above the prompt how it was sent. */
  note(sentence) {
    const line = document.createElement('p');
    line.className = 'note';
    line.textContent = sentence;
    this.element.prepend(line);
  }

  /** Says that the text could not be written. */
  fail(message) {
    this.#foot.textContent = message;
    this.#foot.className = 'error';
    this.#foot.setAttribute('role', 'alert');
  }

  #describe(token) {
    const { piece, rows } = this.#tokens.get(token);
    const lines = this.#layers.map((layer, at) => ({
      text: `layer ${layer.layer}: expert ${rows.map(row => row[at]).join(', ')}`,
      swatch: element => paint(element, rows[0][at]),
    }));
    const count = rows.length > 1 ? ` (${rows.length} tokens)` : '';
    return [{ text: `“${piece.replaceAll('\n', '⏎')}”${count}` }, ...(rows.length > 0 ? lines : [])];
  }
}
