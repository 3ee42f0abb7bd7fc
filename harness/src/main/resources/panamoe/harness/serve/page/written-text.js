// A completion on the page: its prompt, and the model's tokens in their experts' colours.

import { copyButton } from './copy.js';
import { Markdown } from './markdown.js';
import { TokenText } from './token-text.js';

export class WrittenText {
  element = document.createElement('article');
  /** The completion without thoughts. */
  text = '';
  #body;
  #markdown = null; // of a reply
  #thoughts;
  #summary = document.createElement('summary');
  #foot = document.createElement('footer');
  #started = performance.now();
  #sampled = 0;
  #before = 0; // tokens before the answer: thoughts and their markers
  #chunks = []; // as they were added
  #end = null; // what the footer says

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
    this.#body = new TokenText(layers, mark, chat ? 'Answer' : 'Sequence');
    this.#thoughts = new TokenText(layers, mark, 'Thoughts');
    const asked = document.createElement(chat ? 'p' : 'span');
    asked.className = 'prompt';
    asked.textContent = prompt;
    if (chat) {
      this.element.append(asked);
      this.#markdown = new Markdown(this.#body.element, (start, end) => this.#body.nodes(start, end));
    } else {
      this.#body.element.append(asked);
    }
    this.element.append(this.#body.element, this.#foot);
    this.element.classList.toggle('chat', chat);
  }

  /** For each MoE layer, the tokens of each expert. */
  get counts() {
    const thoughts = this.#thoughts.counts;
    return this.#body.counts.map((layer, at) => layer.map((count, expert) => count + thoughts[at][expert]));
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
    this.#chunks.push([thought, piece, tokens, rows]);
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
      this.#markdown === null ? this.#body.add(piece, routes) : this.#body.record(piece, routes);
    }
    this.#summary.textContent = `${this.text === '' ? 'Thinking' : 'Thoughts'}: ${this.#before} tokens`;
  }

  #think(thought, routes) {
    if (this.#thoughts.empty) {
      const details = document.createElement('details');
      details.className = 'thoughts';
      details.append(this.#summary, this.#thoughts.element);
      this.#body.element.before(details);
    }
    this.#thoughts.add(thought, routes);
  }

  /** Draws what was added to a reply. */
  draw() {
    this.#markdown?.draw(this.text);
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
    if (this.#sampled === 0) {
      this.#close(how);
      return;
    }
    const seconds = (performance.now() - this.#started) / 1000;
    const speed = (this.#sampled / seconds).toFixed(this.#sampled < 10 * seconds ? 1 : 0);
    const before = this.#thoughts.empty ? '' : `, ${this.#before} of them before the answer`;
    this.#close(`${this.#sampled} tokens${before}, ${speed} a second, seed ${seed}: ${how}`);
  }

  #close(end) {
    this.#end = end;
    this.#foot.replaceChildren(label(end), ...(this.text === '' ? [] : [copyButton(() => this.text)]));
  }

  /** Shows a note above the prompt. */
  note(sentence) {
    this.element.prepend(label(sentence, 'note'));
  }

  /** Shows why there is no completion yet, and when the next try is. */
  wait(message, seconds) {
    this.#started = performance.now();
    if (this.#foot.querySelector('[role=alert]')?.textContent !== message) { // else it would be read out each second
      this.#alert(message, label('', 'timer'));
    }
    this.#foot.querySelector('.timer').textContent = `Next try in ${seconds} s`;
  }

  /** Shows why there is no completion, or no more of it, and a button that asks again. */
  fail(message, onAgain) {
    const again = document.createElement('button');
    again.type = 'button';
    again.textContent = 'Try again';
    again.addEventListener('click', onAgain);
    this.#end = message;
    this.#alert(message, again);
  }

  #alert(message, ...more) {
    const error = label(message, 'error');
    error.setAttribute('role', 'alert');
    this.#foot.replaceChildren(error, ...more);
  }

  /** What {@link restore} takes. */
  get saved() {
    return { prompt: this.prompt, chat: this.chat, chunks: this.#chunks, end: this.#end };
  }

  /** Shows a saved completion; without its experts if they are another model's. */
  restore({ chunks, end }, withExperts) {
    chunks.forEach(([thought, piece, tokens, rows]) => this.add(thought, piece, tokens, withExperts ? rows : []));
    this.draw();
    this.#close(end ?? 'interrupted');
  }
}

function label(text, name = '') {
  const made = document.createElement('span');
  made.className = name;
  made.textContent = text;
  return made;
}
