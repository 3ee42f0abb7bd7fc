// A text on the page: its prompt, and the model's tokens in their experts' colours.

import { TokenText } from './token-text.js';

export class WrittenText {
  element = document.createElement('article');
  /** What the model has written. */
  text = '';
  #body;
  #thoughts;
  #foot = document.createElement('footer');
  #started = performance.now();
  #drawn = 0;
  #before = 0; // tokens before the answer: thoughts and their markers

  /**
   * @param {string} prompt
   * @param {boolean} chat whether the text answers the prompt, instead of going on with it
   * @param {{layer: number, experts: number}[]} layers the MoE layers
   * @param {(experts: ?number[]) => void} onMark is told the experts of the token that is looked at
   */
  constructor(prompt, chat, layers, onMark) {
    this.prompt = prompt;
    this.chat = chat;
    const mark = rows => onMark(rows[0]?.map(([{ expert }]) => expert) ?? null);
    this.#body = new TokenText(layers, mark);
    this.#thoughts = new TokenText(layers, mark, 'Thoughts');
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
    return this.#body.counts.map((layer, at) => layer.map((count, expert) => count + this.#thoughts.counts[at][expert]));
  }

  /**
   * Adds what came of the text.
   *
   * @param {string} thought what the model thinks before it answers
   * @param {string} piece of the answer
   * @param {number} tokens of both; those of markers, such as <think>, have no text
   * @param {number[][]} rows for each of them an expert of each MoE layer; empty for a dense model
   */
  add(thought, piece, tokens, rows) {
    const routes = rows.map(row => row.map(expert => [{ expert }]));
    this.text += piece;
    this.#drawn += tokens;
    if (this.text === '') {
      this.#before = this.#drawn;
    }
    if (thought !== '') {
      this.#think(thought, piece === '' ? routes : []);
    }
    if (piece !== '' || thought === '') {
      // An answer begins with its first word.
      this.#body.add(this.chat && this.#body.empty ? piece.trimStart() || piece : piece, routes);
    }
  }

  #think(thought, routes) {
    if (this.#thoughts.empty) {
      const details = document.createElement('details');
      details.className = 'thoughts';
      details.open = true;
      details.appendChild(document.createElement('summary')).textContent = 'Thoughts';
      details.append(this.#thoughts.element);
      this.#body.element.before(details);
    }
    this.#thoughts.add(thought, routes);
  }

  /** Colours all tokens by another MoE layer. */
  colour(layer) {
    this.#body.colour(layer);
    this.#thoughts.colour(layer);
  }

  /** Leaves only one expert's tokens coloured; null for all. */
  only(expert) {
    this.#body.only(expert);
    this.#thoughts.only(expert);
  }

  /** Says below the text how it ended. */
  end(how, seed) {
    const seconds = (performance.now() - this.#started) / 1000;
    const speed = (this.#drawn / seconds).toFixed(this.#drawn < 10 * seconds ? 1 : 0);
    const before = this.#thoughts.empty ? '' : `, ${this.#before} of them before the answer`;
    this.#foot.textContent = `${this.#drawn} tokens${before}, ${speed} a second, seed ${seed}: ${how}`;
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
