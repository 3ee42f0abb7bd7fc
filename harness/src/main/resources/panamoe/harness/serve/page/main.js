// Wires the page: conversations, one request at a time, and the controls.

import * as api from './api.js';
import { Conversation } from './conversation.js';
import { ExpertsPanel } from './experts-panel.js';
import { History } from './history.js';
import { askKey } from './key.js';
import { withRetries } from './retry.js';
import { watch } from './server.js';
import { Speech } from './speech.js';
import { WrittenText } from './written-text.js';

const SEEDS = 2 ** 31;
/** Tokens that arrive within this time are drawn together. */
const DRAW_MILLIS = 100;

const at = id => document.getElementById(id);
const picked = name => document.querySelector(`input[name=${name}]:checked`).value;
const pick = (name, value) => (document.querySelector(`input[name=${name}][value="${value}"]`).checked = true);

let model = null; // its name, once it is known
let shape = null; // its MoE layers and experts
let conversation = new Conversation();
let writing = null; // the AbortController of the running request
const panel = new ExpertsPanel(() => conversation.texts);
const history = new History(at('conversations'), open);

function found({ id, max_model_len: context, chat, chat_template: template }, layers) {
  const now = JSON.stringify(layers.map(({ layer, experts }) => [layer, experts]));
  if (model !== null) {
    if (model !== id || shape !== now) {
      location.reload(); // the server came back with another model
    }
    return;
  }
  model = id;
  shape = now;
  document.title = `${id} – Panamoe`;
  at('model').textContent = id;
  at('mode').hidden = !chat;
  pick('mode', template ? 'chat' : 'completion');
  at('max-tokens').max = context;
  at('max-tokens').value = Math.min(at('max-tokens').valueAsNumber, context);
  showMode();
  panel.build(layers);
  history.show(conversation.id);
}

// Conversations

/** Opens a kept conversation; null: a new one. */
function open(kept) {
  at('history').hidePopover();
  if (kept?.id === conversation.id) {
    return;
  }
  writing?.abort();
  conversation = new Conversation();
  at('texts').replaceChildren(at('welcome'));
  at('welcome').hidden = kept !== null;
  if (kept !== null) {
    conversation.id = kept.id;
    conversation.system = kept.system;
    kept.texts.forEach(saved => show(saved.prompt, saved.chat).restore(saved, kept.shape === shape));
    pick('mode', kept.texts.at(-1).chat ? 'chat' : 'completion');
  }
  at('system').value = conversation.system;
  showMode();
  following = true;
  draw();
  history.show(conversation.id);
  if (kept === null) {
    at('prompt').focus();
  }
}

function keep(written) {
  const { id, title, system, texts } = written;
  const saved = texts.map(text => text.saved);
  const lost = history.save({ id, title, changed: Date.now(), model, shape, system, texts: saved });
  if (lost !== '' && lost !== written.lost) {
    texts.at(-1).note(lost);
  }
  written.lost = lost;
}

/** Adds a completion to the page. */
function show(prompt, chat) {
  const text = new WrittenText(prompt, chat, panel.layers, experts => panel.ring(experts));
  text.colour(panel.layer);
  text.only(panel.only);
  at('welcome').hidden = true;
  conversation.add(text);
  at('texts').append(text.element);
  return text;
}

let latest = null; // the experts of the last token
let drawing = null; // the timer of the next drawing
let following = true; // whether the end of the completions stays in view
let top = 0; // their scroll position

function drawSoon() {
  drawing ??= setTimeout(draw, DRAW_MILLIS);
}

function draw() {
  clearTimeout(drawing);
  drawing = null;
  conversation.texts.at(-1)?.draw();
  panel.ring(latest);
  panel.show();
  if (following) {
    at('texts').scrollTop = at('texts').scrollHeight;
  }
}

// Completions

/** The fields of a request, without its prompt; the model has defaults for the empty ones. */
function settings() {
  const names = { temperature: 'temperature', top_p: 'top-p', top_k: 'top-k', max_tokens: 'max-tokens', seed: 'seed' };
  const set = Object.entries(names).filter(([, id]) => at(id).value !== '');
  return {
    seed: Math.floor(Math.random() * SEEDS),
    ...Object.fromEntries(set.map(([field, id]) => [field, at(id).valueAsNumber])),
    return_token_ids: true,
    ...(panel.layers.length > 0 && { moe: { tokens: true } }),
  };
}

async function write(prompt, chat) {
  const fields = settings();
  const text = show(prompt, chat);
  const written = conversation; // another one may be opened meanwhile
  following = true;
  keep(written);
  drawSoon();
  writing = new AbortController();
  const { signal } = writing;
  busy(true);
  try {
    const request = () => (chat ? answer : complete)(text, fields, signal);
    await withRetries(request, (message, seconds) => {
      text.wait(message, seconds);
      drawSoon();
    }, signal);
  } catch (error) {
    if (error.name === 'AbortError') {
      text.end('stopped', fields.seed);
    } else if (error instanceof api.ApiError) {
      text.fail(error.message, () => again(text));
      askKey(error);
    } else {
      throw error;
    }
  } finally {
    text.draw();
    if (history.has(written.id)) { // else it was deleted meanwhile
      keep(written);
    }
    writing = null;
    latest = null;
    draw();
    busy(false);
  }
}

/** Asks for a completion that failed once more, at the end. */
function again(text) {
  if (writing === null) {
    conversation.remove(text);
    text.element.remove();
    write(text.prompt, text.chat);
  }
}

async function complete(text, fields, signal) {
  await read(text, api.stream('v1/completions', { prompt: text.prompt, ...fields }, signal), fields.seed);
}

async function answer(text, fields, signal) {
  const { messages, gone } = await conversation.messages(fields.max_tokens, signal);
  if (gone > 0) {
    text.note('The context has no room for the oldest turns: the model no longer sees them.');
  }
  await read(text, api.stream('v1/chat/completions', { messages, ...fields }, signal), fields.seed);
}

async function read(text, chunks, seed) {
  const speech = new Speech(at('spoken'));
  try {
    for await (const { choices: [choice] } of chunks) {
      const piece = choice.text ?? choice.delta.content ?? '';
      const rows = choice.moe?.token_experts ?? [];
      text.add(choice.delta?.reasoning_content ?? '', piece, choice.token_ids?.length ?? 0, rows);
      speech.add(piece);
      latest = rows.at(-1) ?? null;
      drawSoon();
      if (choice.finish_reason) {
        text.end(choice.finish_reason === 'stop' ? 'end of sequence' : 'max tokens reached', seed);
      }
    }
  } finally {
    speech.end();
  }
}

function busy(on) {
  const focused = document.activeElement === at(on ? 'send' : 'stop');
  at('send').hidden = on;
  at('stop').hidden = !on;
  if (focused) {
    at(on ? 'stop' : 'send').focus();
  }
  at('texts').setAttribute('aria-busy', String(on));
}

// Controls

at('composer').addEventListener('submit', event => {
  event.preventDefault();
  if (writing === null && model !== null) {
    const prompt = at('prompt').value;
    const chat = picked('mode') === 'chat';
    if (chat) {
      at('prompt').value = '';
    }
    write(prompt, chat);
  }
});
at('prompt').addEventListener('keydown', event => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at('composer').requestSubmit();
  }
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && document.querySelector(':popover-open:not(#tip)') === null) {
    writing?.abort();
  }
});
at('stop').addEventListener('click', () => writing.abort());
at('new').addEventListener('click', () => open(null));
at('texts').addEventListener('scroll', ({ target }) => {
  const near = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
  following = near || (following && target.scrollTop >= top); // only a person scrolls up
  top = target.scrollTop;
});
at('to-settings').addEventListener('click', () => {
  at('settings').hidden = !at('settings').hidden;
  at('to-settings').setAttribute('aria-expanded', String(!at('settings').hidden));
});
at('system').addEventListener('input', () => (conversation.system = at('system').value));
at('mode').addEventListener('change', showMode);

function showMode() {
  const chat = picked('mode') === 'chat';
  at('send').textContent = chat ? 'Send' : 'Write';
  at('prompt').placeholder = chat ? 'Hello' : 'It was a';
  at('for-chat').hidden = !chat;
}

at('theme').addEventListener('change', () => {
  document.documentElement.dataset.theme = picked('theme');
  localStorage.setItem('panamoe.theme', picked('theme'));
});
const theme = localStorage.getItem('panamoe.theme') ?? '';
document.documentElement.dataset.theme = theme;
pick('theme', theme);

watch(found, () => panel.counting, layers => panel.update(layers));
