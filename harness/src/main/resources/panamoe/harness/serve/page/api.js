// Requests to the server. Paths are relative, so that the page works behind a proxy's prefix.

const KEY = 'panamoe.key';
const BROKEN = 'The answer broke off.';
export const WRONG_KEY = 'This is not one of the server’s keys.';

/** A request without a response, or with an error; the message is a sentence. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 without a response
   * @param {string} message
   * @param {?number} retryAfter seconds after which the server may take the request; null: it will not
   */
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const authorization = key => ({ Authorization: `Bearer ${key}` });

/** Sends a key from now on, until the tab is closed. False if no request can carry it. */
export function useKey(key) {
  try {
    new Headers(authorization(key));
  } catch {
    return false;
  }
  sessionStorage.setItem(KEY, key);
  return true;
}

/** Forgets a key. */
function dropKey(key) {
  if (sessionStorage.getItem(KEY) === key) { // else another one was typed meanwhile
    sessionStorage.removeItem(KEY);
  }
}

/** Waits for a response; throws an ApiError if the server sends none. */
async function received(promise, otherwise = 'The server does not answer.') {
  try {
    return await promise;
  } catch (error) {
    throw error.name === 'AbortError' ? error : new ApiError(0, otherwise);
  }
}

async function ask(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = key === null ? {} : authorization(key);
  const answer = await received(fetch(path, { ...options, headers }));
  if (answer.status === 401 && key !== null) {
    dropKey(key);
    throw new ApiError(401, WRONG_KEY);
  }
  if (!answer.ok) {
    const body = await received(answer.json());
    throw new ApiError(answer.status, body.error.message, retryAfter(answer));
  }
  return answer;
}

function retryAfter({ status, headers }) {
  const seconds = parseInt(headers.get('Retry-After'), 10);
  const later = (status === 429 || status === 503) && seconds >= 0 && headers.get('x-should-retry') !== 'false';
  return later ? Math.max(1, seconds) : null;
}

const json = async path => received((await ask(path)).json());

/** {status, progress}, also while the server takes no requests. */
export async function health() {
  return received((await received(fetch('health'))).json());
}

export async function model() {
  return (await json('v1/models')).data[0];
}

/** The MoE layers with their counts since the start of the server; none for a dense model. */
export async function moeLayers() {
  return (await json('v1/moe/stats')).layers;
}

/** Values of metrics without labels, by name without its prefix. */
export async function metrics() {
  const text = await received((await ask('metrics')).text());
  const lines = text.matchAll(/^panamoe_(\w+) (\S+)$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
}

/** {count, max_model_len} of the messages' prompt. */
export async function tokenize(messages, signal) {
  const answer = await ask('tokenize', { method: 'POST', body: JSON.stringify({ messages }), signal });
  return received(answer.json());
}

/** The chunks of a streamed response. */
export async function* stream(path, body, signal) {
  const answer = await ask(path, { method: 'POST', body: JSON.stringify({ ...body, stream: true }), signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await received(reader.read(), BROKEN);
    if (done) {
      throw new ApiError(0, BROKEN);
    }
    const events = (rest + value).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      const data = event.match(/^data: (.*)$/m)?.[1];
      if (data === '[DONE]') {
        return;
      }
      if (data !== undefined) { // else a comment, which keeps the connection alive
        const chunk = JSON.parse(data);
        if (chunk.error) {
          throw new ApiError(0, chunk.error.message);
        }
        yield chunk;
      }
    }
  }
}
