// A chat's turns: as many of them as the model's context has room for.

import * as api from './api.js';

/** The part of the context that is kept for an answer, if it may be so long. */
const ANSWER = 1 / 4;

export class Conversation {
  #turns = [];

  /** Forgets all turns. */
  clear() {
    this.#turns = [];
  }

  /** Forgets the oldest turns, and takes in a text that answers its prompt. */
  add(text, gone) {
    this.#turns = [...this.#turns.slice(gone), text];
  }

  /**
   * The messages to send for a prompt. The oldest turns go where they and an answer have no room in the context.
   *
   * @param {string} prompt
   * @param {number} tokens most of the answer
   * @param {AbortSignal} signal
   * @returns {{messages: object[], gone: number}} and how many turns went
   */
  async messages(prompt, tokens, signal) {
    for (let gone = 0; ; gone++) {
      const turns = this.#turns.slice(gone);
      const messages = [...turns.flatMap(asMessages), { role: 'user', content: prompt }];
      // Whether a prompt alone has room is the server's to say.
      if (turns.length === 0 || (await fits(messages, tokens, signal))) {
        return { messages, gone };
      }
    }
  }
}

async function fits(messages, tokens, signal) {
  const { count, max_model_len: context } = await api.tokenize(messages, signal);
  return count + Math.min(tokens, ANSWER * context) <= context;
}

function asMessages({ prompt, text }) {
  return [
    { role: 'user', content: prompt },
    { role: 'assistant', content: text.trim() },
  ];
}
