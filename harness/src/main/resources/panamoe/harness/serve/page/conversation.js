// A conversation: its completions, and the messages of a chat's turns, as many as fit the model's context.

import * as api from './api.js';

/** The part of the context that is kept for an answer, unless max tokens is less. */
const ANSWER = 1 / 4;
/** Characters of a title. */
const TITLE = 60;

export class Conversation {
  id = String(Date.now());
  /** The text of the system message; empty for no message. */
  system = '';
  texts = [];
  /** What the browser does not keep of it, as a sentence; empty: it keeps all. */
  lost = '';
  #gone = 0; // the oldest turns, which the model no longer sees

  /** The beginning of its first prompt. */
  get title() {
    return this.texts[0].prompt.trim().slice(0, TITLE) || 'Without a prompt';
  }

  add(text) {
    this.texts.push(text);
  }

  remove(text) {
    this.texts = this.texts.filter(other => other !== text);
  }

  /**
   * The messages to send for a chat's last text, without the oldest turns where they and an answer do not fit the
   * context.
   *
   * @param {number} tokens most of the answer; NaN: any
   * @param {AbortSignal} signal
   * @returns {{messages: object[], gone: number}} and the number of turns that have no room any more
   */
  async messages(tokens, signal) {
    const system = this.system.trim() === '' ? [] : [{ role: 'system', content: this.system }];
    const prompt = { role: 'user', content: this.texts.at(-1).prompt };
    const before = this.#gone;
    const all = this.texts.slice(0, -1).filter(({ chat, text }) => chat && text !== '');
    for (; ; this.#gone++) {
      const turns = all.slice(this.#gone);
      const messages = [...system, ...turns.flatMap(asMessages), prompt];
      // The server refuses a prompt that does not fit by itself.
      if (turns.length === 0 || (await fits(messages, tokens, signal))) {
        return { messages, gone: this.#gone - before };
      }
    }
  }
}

async function fits(messages, tokens, signal) {
  const { count, max_model_len: context } = await api.tokenize(messages, signal);
  return count + Math.min(tokens || Infinity, ANSWER * context) <= context;
}

function asMessages({ prompt, text }) {
  return [
    { role: 'user', content: prompt },
    { role: 'assistant', content: text.trim() },
  ];
}
