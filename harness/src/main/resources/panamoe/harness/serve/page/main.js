// Wires the page: layers, completions, one request at a time, and the controls.

import * as api from './api.js';
import { Conversation } from './conversation.js';
import { HeatMap } from './heat-map.js';
import { Legend } from './legend.js';
import { openDoor, watch } from './server.js';
import { showTable } from './table.js';
import { WrittenText } from './written-text.js';

const SEEDS = 2 ** 31;
/** Tokens that arrive within this time are drawn together. */
const DRAW_MILLIS = 100;

const at = id => document.getElementById(id);
const picked = name => document.querySelector(`input[name=${name}]:checked`).value;

let layers = []; // MoE layers of the model
let shape = null; // layers and experts, once they are known
let layer = 0; // index of the MoE layer whose experts colour the tokens
let only = null; // the one expert whose tokens are coloured; null for all
let since = []; // tokens of each expert since the server started
let ever = []; // those and the kept counts of earlier servers
let texts = [];
const conversation = new Conversation();
let writing = null; // the AbortController of the running request

const map = new HeatMap(at('map'), choose);
const legend = new Legend(at('legend'), at('numbers'), expert => {
  only = expert;
  texts.forEach(text => text.only(expert));
});

// Layers

function build(found) {
  const now = JSON.stringify(found.map(({ layer, experts }) => [layer, experts]));
  if (shape !== null) {
    if (shape !== now) {
      location.reload(); // the server came back with another model
    }
    return;
  }
  shape = now;
  layers = found;
  at('experts').hidden = layers.length === 0;
  if (layers.length > 0) {
    count(layers);
    map.build(layers);
    at('layer').replaceChildren(
      ...layers.map(({ layer: number, experts, top_k: topK }, index) => {
        const each = topK > 1 ? `, ${topK} for each token` : '';
        return new Option(`${number} (${experts} experts${each})`, index);
      }),
    );
    choose(0);
  }
}

/** Takes the server's counts, and those that earlier servers kept. */
function count(found) {
  since = found.map(({ tokens }) => tokens);
  ever = found.map(({ tokens, tokens_before: before }) => tokens.map((own, at) => own + (before?.[at] ?? 0)));
  at('kept').hidden = found.every(({ tokens_before: before }) => before === undefined);
}

function choose(index) {
  layer = index;
  at('layer').value = index;
  map.choose(index);
  texts.forEach(text => text.colour(index));
  legend.build(layers[index].experts);
  show();
}

function show() {
  if (layers.length > 0) {
    const nothing = () => layers.map(({ experts }) => new Array(experts).fill(0));
    const counts = { all: since, ever, text: texts.at(-1)?.counts ?? nothing() }[picked('scope')];
    map.show(counts);
    legend.show(counts[layer]);
    showTable(at('figures'), layers, counts);
  }
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
  map.ring(latest);
  show();
  if (following) {
    at('texts').scrollTop = at('texts').scrollHeight;
  }
}

// Completions

/** The fields of a request, without its prompt. */
function settings(seed) {
  return {
    temperature: at('temperature').valueAsNumber,
    max_tokens: at('max-tokens').valueAsNumber,
    seed,
    return_token_ids: true,
    ...(layers.length > 0 && { moe: { tokens: true } }),
  };
}

async function write() {
  const prompt = at('prompt').value;
  const chat = picked('mode') === 'chat';
  const seed = at('seed').value === '' ? Math.floor(Math.random() * SEEDS) : at('seed').valueAsNumber;
  const fields = settings(seed);
  const text = new WrittenText(prompt, chat, layers, map.ring.bind(map));
  text.colour(layer);
  text.only(only);
  at('welcome').hidden = true;
  texts.push(text);
  at('texts').append(text.element);
  following = true;
  drawSoon();
  if (chat) {
    at('prompt').value = '';
  }
  writing = new AbortController();
  busy(true);
  try {
    await (chat ? answer : complete)(text, fields, writing.signal);
  } catch (error) {
    if (error.name === 'AbortError') {
      text.end('stopped', seed);
    } else if (error instanceof api.ApiError) {
      text.fail(error.message);
      openDoor(error);
    } else {
      throw error;
    }
  } finally {
    writing = null;
    latest = null;
    draw();
    busy(false);
  }
}

async function complete(text, fields, signal) {
  await read(text, api.stream('v1/completions', { prompt: text.prompt, ...fields }, signal), fields.seed);
}

async function answer(text, fields, signal) {
  const { messages, gone } = await conversation.messages(text.prompt, fields.max_tokens, signal);
  if (gone > 0) {
    text.note('The context has no room for the oldest turns: the model no longer sees them.');
  }
  try {
    await read(text, api.stream('v1/chat/completions', { messages, ...fields }, signal), fields.seed);
  } finally {
    if (text.text !== '') {
      conversation.add(text, gone);
    }
  }
}

async function read(text, chunks, seed) {
  const speech = new Speech();
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
  at('clear').disabled = on;
  if (focused) {
    at(on ? 'stop' : 'send').focus();
  }
  at('texts').setAttribute('aria-busy', String(on));
}

/** Gives a screen reader whole sentences; single tokens could not be followed. */
class Speech {
  #heard = '';

  add(piece) {
    this.#heard += piece;
    if (/[.!?\n]["”’]?\s*$/.test(this.#heard)) {
      this.end();
    }
  }

  end() {
    at('spoken').textContent = this.#heard;
    this.#heard = '';
  }
}

// Controls

at('composer').addEventListener('submit', event => {
  event.preventDefault();
  if (writing === null) {
    write();
  }
});
at('prompt').addEventListener('keydown', event => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at('composer').requestSubmit();
  }
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape') {
    writing?.abort();
  }
});
at('stop').addEventListener('click', () => writing.abort());
at('clear').addEventListener('click', () => {
  texts.forEach(text => text.element.remove());
  texts = [];
  conversation.clear();
  at('welcome').hidden = false;
  show();
  at('prompt').focus();
});
at('texts').addEventListener('scroll', ({ target }) => {
  const near = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
  following = near || (following && target.scrollTop >= top); // only a person scrolls up
  top = target.scrollTop;
});
at('mode').addEventListener('change', () => {
  const chat = picked('mode') === 'chat';
  at('send').textContent = chat ? 'Send' : 'Write';
  at('prompt').placeholder = chat ? 'Hello' : 'It was a';
});
at('layer').addEventListener('change', () => choose(Number(at('layer').value)));
at('scope').addEventListener('change', () => {
  map.light(since, since);
  show();
});
at('figures').addEventListener('toggle', show);
at('theme').addEventListener('change', () => {
  document.documentElement.dataset.theme = picked('theme');
  localStorage.setItem('panamoe.theme', picked('theme'));
});
const theme = localStorage.getItem('panamoe.theme') ?? '';
document.documentElement.dataset.theme = theme;
document.querySelector(`input[name=theme][value="${theme}"]`).checked = true;

watch(build, () => layers.length > 0 && picked('scope') !== 'text', found => {
  map.light(since, found.map(({ tokens }) => tokens));
  count(found);
  show();
});
