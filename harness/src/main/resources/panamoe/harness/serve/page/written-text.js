// A completion on the page: its prompt, and the model's tokens in their experts' colours.

import { TokenText } from './token-text.js';

export class WrittenText {
  element = document.createElement('article');
  /** The completion without thoughts. */
  text = '';
  #body;
  #thoughts;
  #foot = document.createElement('footer');
  #started = performance.now();
  #sampled = 0;
  #before = 0; // tokens before the answer: thoughts and their markers

  /**
   * @param {string} prompt
   * @param {boolean} chat whether the completion is a reply, instead of continuing the prompt
   * @param {{layer: number, experts: number}[]} layers the MoE layers
   * @param {(experts: ?number[]) => void} onMark gets the experts of the marked token
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
   * Adds a chunk of the response.
   *
   * @param {string} thought reasoning before the answer
   * @param {string} piece of the answer
   * @param {number} tokens of both; those of markers, such as <think>, have no text
   * @param {number[][]} rows [token][MoE layer], the expert; empty for a dense model
   */
  add(thought, piece, tokens, rows) {
    const routes = rows.map(row => row.map(expert => [{ expert }]));
    this.text += piece;
    this.#sampled += tokens;
    if (this.text === '') {
      this.#before = this.#sampled;
    }
    if (thought !== '') {
      this.#think(thought, piece === '' ? routes : []);
    }
    if (piece !== '' || thought === '') {
      // An answer has no blanks before its first word.
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

  /** Colours all tokens by their experts in an MoE layer. */
  colour(layer) {
    this.#body.colour(layer);
    this.#thoughts.colour(layer);
  }

  /** Colours only one expert's tokens; null: all. */
  only(expert) {
    this.#body.only(expert);
    this.#thoughts.only(expert);
  }

  /** Shows below the completion how it ended. */
  end(how, seed) {
    const seconds = (performance.now() - this.#started) / 1000;
    const speed = (this.#sampled / seconds).toFixed(this.#sampled < 10 * seconds ? 1 : 0);
    const before = this.#thoughts.empty ? '' : `, ${this.#before} of them before the answer`;
    this.#foot.textContent = `${this.#sampled} tokens${before}, ${speed} a second, seed ${seed}: ${how}`;
  }

  /** Shows a note above the prompt. */
  note(sentence) {
    const line = document.createElement('p');
    line.className = 'note';
    line.textContent = sentence;
    this.element.prepend(line);
  }

  /** Shows why there is no completion. */
  fail(message) {
    this.#foot.textContent = message;
    this.#foot.className = 'error';
    this.#foot.setAttribute('role', 'alert');
  }
}
