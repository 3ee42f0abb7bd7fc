// A text on the page: its prompt, and the model's tokens in their experts' colours.

import { TokenText } from './token-text.js';

export class WrittenText {
  element = document.createElement('article');
  /** What the model has written. */
  text = '';
  #body;
  #foot = document.createElement('footer');
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
    this.#body = new TokenText(layers, rows => onMark(rows[0]?.map(([{ expert }]) => expert) ?? null));
    const asked = document.createElement(chat ? 'p' : 'span');
    asked.className = 'prompt';
    asked.textContent = prompt;
    if (chat) {
      this.element.append(asked);
    } else {
      this.#body.element.append(asked);
    }
    this.element.append(this.#body.element, this.#foot);
    this.element.classList.toggle('chat', chat);
  }

  /** For each MoE layer, the tokens of each expert. */
  get counts() {
    return this.#body.counts;
  }

  /**
   * Adds what came of the text.
   *
   * @param {string} piece
   * @param {number} tokens of the piece
   * @param {number[][]} rows for each of them an expert of each MoE layer; empty for a dense model
   */
  add(piece, tokens, rows) {
    this.text += piece;
    this.#drawn += tokens;
    // An answer begins with its first word.
    const shown = this.chat && this.#body.empty ? piece.trimStart() || piece : piece;
    this.#body.add(shown, rows.map(row => row.map(expert => [{ expert }])));
  }

  /** Colours all tokens by another MoE layer. */
  colour(layer) {
    this.#body.colour(layer);
  }

  /** Leaves only one expert's tokens coloured; null for all. */
  only(expert) {
    this.#body.only(expert);
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
}
