// A chat's turns, as many as fit the model's context.

import * as api from './api.js';

/** The part of the context that is kept for an answer, unless max tokens is less. */
const ANSWER = 1 / 4;

export class Conversation {
  #turns = [];

  /** Forgets all turns. */
  clear() {
    this.#turns = [];
  }

  /** Forgets the oldest turns, and adds a completion. */
  add(text, gone) {
    this.#turns = [...this.#turns.slice(gone), text];
  }

  /**
   * The messages to send for a prompt, without the oldest turns where they and an answer do not fit the context.
   *
   * @param {string} prompt
   * @param {number} tokens most of the answer
   * @param {AbortSignal} signal
   * @returns {{messages: object[], gone: number}} and the number of forgotten turns
   */
  async messages(prompt, tokens, signal) {
    for (let gone = 0; ; gone++) {
      const turns = this.#turns.slice(gone);
      const messages = [...turns.flatMap(asMessages), { role: 'user', content: prompt }];
      // The server refuses a prompt that does not fit by itself.
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
