// The server's state, model, load and counts.

import * as api from './api.js';
import { askKey, locked } from './key.js';

const STATS_MILLIS = 250;
const METRICS_MILLIS = 1000;
const ABSENT_MILLIS = 500;

const at = id => document.getElementById(id);
const pause = millis => new Promise(wake => setTimeout(wake, millis));

let last = null; // generated tokens, and when
let used = { uses: 0, hits: 0 }; // experts that steps needed, and those that were in memory

/**
 * Polls the server while the page is visible.
 *
 * @param {(model: {id: string, chat: boolean, chat_template: boolean}, layers: object[]) => void} onModel gets the
 *     model and its MoE layers whenever the server is found
 * @param {() => boolean} counting whether counts are wanted
 * @param {(layers: object[]) => void} onCounts gets the MoE layers with their counts
 */
export async function watch(onModel, counting, onCounts) {
  let connected = false;
  for (let turn = 0; ; turn++) {
    await pause(connected ? STATS_MILLIS : turn === 0 ? 0 : ABSENT_MILLIS);
    if (document.hidden || locked()) {
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
      say(askKey(error) ? '' : error.message, true);
    }
  }
}

/** Reads which model is served. True if it is loaded. */
async function connect(onModel) {
  const { status, progress } = await api.health();
  if (status === 'loading') {
    say(`The model is being loaded: ${Math.round(100 * progress)} %.`);
    return false;
  }
  const model = await api.model();
  onModel(model, await api.moeLayers());
  say('');
  return true;
}

function say(sentence, wrong = false) {
  at('state').textContent = sentence;
  at('state').classList.toggle('error', wrong);
  at('state').hidden = sentence === '';
}

function showLoad(metrics) {
  const now = { tokens: metrics.generation_tokens_total, time: performance.now() };
  at('running').textContent = metrics.num_requests_running;
  at('waiting').textContent = metrics.num_requests_waiting;
  at('cache').textContent = `${Math.round(100 * metrics.kv_cache_usage_perc)} %`;
  showHits(metrics);
  if (last !== null) {
    at('speed').textContent = Math.round((1000 * (now.tokens - last.tokens)) / (now.time - last.time));
  }
  last = now;
}

/** The share of the needed experts that were in memory since the last call; only if some are on the disk. */
function showHits({ expert_cache_uses_total: uses, expert_cache_hits_total: hits }) {
  at('memory').hidden = uses === undefined;
  if (uses > used.uses) {
    at('hits').textContent = `${Math.round((100 * (hits - used.hits)) / (uses - used.uses))} %`;
  }
  used = { uses: uses ?? 0, hits: hits ?? 0 };
}
