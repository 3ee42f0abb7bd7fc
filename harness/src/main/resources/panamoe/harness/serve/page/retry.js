// Tries a request again when the server says that it has room then.

import { ApiError } from './api.js';

/** After this number of refusals the person decides. */
const MOST_TRIES = 5;

/**
 * Runs a request until the server takes it.
 *
 * @param {() => Promise<void>} request
 * @param {(message: string, seconds: number) => void} onWait gets the refusal, and each second the time to the next try
 * @param {AbortSignal} signal
 */
export async function withRetries(request, onWait, signal) {
  for (let tries = 1; ; tries++) {
    try {
      await request();
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || error.retryAfter === null || tries === MOST_TRIES) {
        throw error;
      }
      for (let left = error.retryAfter; left > 0; left--) {
        onWait(error.message, left);
        await second(signal);
      }
    }
  }
}

function second(signal) {
  return new Promise((wake, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(wake, 1000);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
