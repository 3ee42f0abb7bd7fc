// What the server tells of itself: its state, its model, its load and its counts.

import * as api from './api.js';

const STATS_MILLIS = 250;
const METRICS_MILLIS = 1000;
const ABSENT_MILLIS = 500;

const at = id => document.getElementById(id);
const pause = millis => new Promise(wake => setTimeout(wake, millis));

let last = null; // tokens written, and when
let used = { uses: 0, hits: 0 }; // experts that steps needed, and those of them that memory had

/**
 * Asks again and again, while the page is visible.
 *
 * @param {(layers: object[]) => void} onModel is told the MoE layers whenever the server is found
 * @param {() => boolean} counting whether counts are wanted
 * @param {(layers: object[]) => void} onCounts is told the MoE layers with their counts
 */
export async function watch(onModel, counting, onCounts) {
  let connected = false;
  for (let turn = 0; ; turn++) {
    await pause(connected ? STATS_MILLIS : turn === 0 ? 0 : ABSENT_MILLIS);
    const locked = !connected && !at('door').hidden;
    if (document.hidden || locked) {
      continue;
    }
    try {
      connected ||= await connect(onModel);
      if (connected && counting()) {
        onCounts(await api.moeLayers());
      }
      if (connected && turn % (METRICS_MILLIS / STATS_MILLIS) === 0) {
        showLoad(await api.metrics());
      }
    } catch (error) {
      if (!(error instanceof api.ApiError)) {
        throw error;
      }
      connected = false;
      say(openDoor(error) ? '' : error.message);
    }
  }
}

/** Learns what the model is. True if it is there. */
async function connect(onModel) {
  const { status, progress } = await api.health();
  if (status === 'loading') {
    say(`The model is being loaded: ${Math.round(100 * progress)} %.`);
    return false;
  }
  const { id, max_model_len: context, chat } = await api.model();
  at('model').textContent = id;
  at('mode').hidden = !chat;
  at('max-tokens').max = context;
  onModel(await api.moeLayers());
  say('');
  return true;
}

function say(sentence) {
  at('state').textContent = sentence;
  at('state').hidden = sentence === '';
}

/** Asks for a key if that is what a request lacked, and says so if it had a wrong one. */
export function openDoor(error) {
  const locked = error.status === 401;
  at('door').hidden = !locked;
  if (error.message === api.WRONG_KEY) {
    at('refused').textContent = api.WRONG_KEY;
    at('key').focus();
  }
  return locked;
}

function showLoad(told) {
  const now = { tokens: told.generation_tokens_total, time: performance.now() };
  at('running').textContent = told.num_requests_running;
  at('waiting').textContent = told.num_requests_waiting;
  at('cache').textContent = `${Math.round(100 * told.kv_cache_usage_perc)} %`;
  showHits(told);
  if (last !== null) {
    at('speed').textContent = Math.round((1000 * (now.tokens - last.tokens)) / (now.time - last.time));
  }
  last = now;
}

/** Of the experts that were needed since the last time, how many memory had; only if some are on the disk. */
function showHits({ expert_cache_uses_total: uses, expert_cache_hits_total: hits }) {
  at('memory').hidden = uses === undefined;
  if (uses > used.uses) {
    at('hits').textContent = `${Math.round((100 * (hits - used.hits)) / (uses - used.uses))} %`;
  }
  used = { uses: uses ?? 0, hits: hits ?? 0 };
}

at('door').addEventListener('submit', event => {
  event.preventDefault();
  const sent = api.useKey(at('key').value);
  at('key').value = '';
  at('refused').textContent = sent ? '' : api.WRONG_KEY;
  at('door').hidden = sent;
});
