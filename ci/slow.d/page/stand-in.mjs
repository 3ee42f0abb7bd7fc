// A server that stands in for `panamoe serve`: its page's files are a real server's, and its answers are scripted.

import { createServer } from 'node:http';

/** A model's name, and an answer, that would run a script on a page that reads them as HTML. */
export const NAME = '<img src=x onerror="globalThis.ran=1"><script>globalThis.ran=1</script>';
export const ATTACK = `Hello <img src=x onerror="globalThis.ran=1"> and <script>globalThis.ran=1</script>

<svg onload="globalThis.ran=1"></svg>

[press](javascript:globalThis.ran=1) [me](JaVaScRiPt:globalThis.ran=1 "t") [data](data:text/html,<script>ran=1</script>)
<javascript:globalThis.ran=1> ![x](http://example.invalid/x.png) ![y](x" onerror="globalThis.ran=1)

\`<img src=x onerror="globalThis.ran=1">\`

| <b onclick="globalThis.ran=1">a</b> |
| --- |
| <iframe srcdoc="<script>parent.ran=1</script>"></iframe> |

\`\`\`"><img src=x onerror=globalThis.ran=1>
</code></pre><script>globalThis.ran=1</script>
\`\`\`
`;
export const MARKDOWN = `## Sorting by merging

A **merge sort** splits the list, sorts *both* halves, and merges them:

1. split at the middle,
2. sort each half:
   - by itself,
   - or by \`insertion\` where it is short,
3. merge.

\`\`\`java
static int[] sorted(int[] a) {
  return a.length < 2 ? a : merge(sorted(copyOf(a, a.length / 2)), sorted(copyOfRange(a, a.length / 2, a.length)));
}
\`\`\`

| input | time | memory |
| --- | --: | --: |
| sorted | n log n | n |
| random | n log n | n |

> It is *stable*: equal elements
> keep their order.

More is at [the encyclopedia](https://example.org/merge_sort).`;
const THOUGHTS = 'The user wants an algorithm.\nMerge sort is short.\n\nI give Java.';
const LAYERS = [{ layer: 1, experts: 24, top_k: 2 }, { layer: 3, experts: 8, top_k: 1 }];
const CONTEXT = 2048;

const pause = millis => new Promise(wake => setTimeout(wake, millis));
const pieces = text => text.match(/\n+| *[\p{L}\p{N}]+| +|[^\s\p{L}\p{N}]/gu) ?? [];

/** Experts of the token at a place: some are busier than others, and some get nothing. */
const experts = place => LAYERS.map(({ experts: all }, layer) =>
  Math.floor(((place * 0.618 + layer / 3) % 1) ** 2 * (all - 3)));

/** What an answer is made of, by the last message. */
const SCRIPTS = {
  attack: { text: ATTACK, thoughts: ATTACK },
  markdown: { text: MARKDOWN, thoughts: THOUGHTS },
  lines: { text: 'One line,\nand another.\n\nThe end\n' },
  slow: { text: 'word '.repeat(400), millis: 40 },
  thinking: { text: 'Yes.', thoughts: 'word '.repeat(60), millis: 40 },
  cut: { text: 'This will not be', end: response => response.destroy() },
  broken: {
    text: 'This fails',
    end: response => response.end('event: error\ndata: {"error":{"message":"the engine has failed"}}\n\n'),
  },
  tools: { text: 'Let me see.', calls: [{ index: 0, id: '1', function: { name: 'look', arguments: '{}' } }] },
  busy: { text: 'There is room now.', refusals: 2, status: 429, headers: { 'Retry-After': '1' } },
  down: { refusals: Infinity, status: 503, headers: { 'Retry-After': '600' } },
  never: { refusals: Infinity, status: 429, headers: { 'Retry-After': '1', 'x-should-retry': 'false' } },
};

/** The pieces of a script's answer, each with its experts. */
export function routed(name) {
  const { text, thoughts = '' } = SCRIPTS[name];
  const before = pieces(thoughts).length;
  return pieces(text).map((piece, place) => ({ piece, experts: experts(before + place) }));
}

/**
 * Starts it.
 *
 * @param {string} pages the URL of a real server
 * @returns {Promise<{url: string, requests: object[], close: () => void}>} and the bodies of requests for completions
 */
export async function standIn(pages) {
  const requests = [];
  const refused = {}; // script to the number of refusals so far
  const json = (response, body, status = 200, headers = {}) =>
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));

  async function complete(response, body, chat) {
    requests.push(body);
    const name = chat ? body.messages.at(-1).content : body.prompt;
    const script = SCRIPTS[name] ?? { text: `You said: ${name}` };
    if ((refused[name] ??= 0) < (script.refusals ?? 0)) {
      refused[name]++;
      json(response, { error: { message: 'too many requests are waiting' } }, script.status, script.headers);
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(': \n\n');
    let place = 0;
    const send = async (delta, finish = null) => {
      const choice = { finish_reason: finish, ...(chat ? { delta } : { text: delta.content ?? '' }) };
      const tokens = finish === null ? { token_ids: [place], moe: { token_experts: [experts(place++)] } } : {};
      response.write(`data: ${JSON.stringify({ choices: [{ ...choice, ...tokens }] })}\n\n`);
      await pause(script.millis ?? 0);
    };
    for (const thought of pieces(chat ? script.thoughts ?? '' : '')) {
      await send({ reasoning_content: thought });
    }
    for (const piece of pieces(script.text)) {
      await send({ content: piece });
    }
    if (script.calls) {
      await send({ tool_calls: script.calls });
    }
    if (script.end) {
      await pause(100); // else the tokens may be lost with the connection
      script.end(response);
      return;
    }
    await send({}, 'stop');
    response.end('data: [DONE]\n\n');
  }

  const counts = LAYERS.map(layer => ({
    ...layer,
    tokens: Array.from({ length: layer.experts }, (_, expert) => (expert * 7919) % 100),
  }));
  const answers = {
    '/health': () => ({ status: 'ready' }),
    '/v1/models': () => ({ data: [{ id: NAME, max_model_len: CONTEXT, chat: true, chat_template: true }] }),
    '/v1/moe/stats': () => ({ layers: counts }),
    '/tokenize': ({ messages }) => ({ count: pieces(JSON.stringify(messages)).length, max_model_len: CONTEXT }),
  };
  const server = createServer(async (request, response) => {
    const path = request.url;
    let text = '';
    for await (const part of request) {
      text += part;
    }
    const body = text === '' ? {} : JSON.parse(text);
    if (path === '/' || path.startsWith('/page/')) {
      const file = await fetch(new URL(path, pages));
      const headers = ['content-type', 'content-security-policy'].map(name => [name, file.headers.get(name)]);
      response.writeHead(file.status, Object.fromEntries(headers)).end(Buffer.from(await file.arrayBuffer()));
    } else if (path === '/metrics') {
      response.end('panamoe_generation_tokens_total 0\npanamoe_num_requests_running 1\n' +
        'panamoe_num_requests_waiting 0\npanamoe_kv_cache_usage_perc 0.25\n');
    } else if (answers[path]) {
      json(response, answers[path](body));
    } else {
      await complete(response, body, path.includes('chat'));
    }
  });
  await new Promise(started => server.listen(0, '127.0.0.1', started));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    requests,
    close: () => server.closeAllConnections() || server.close(),
  };
}
