// What a client of a Panamoe server does, by Ollama's library for JavaScript.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Ollama } from 'ollama';

const host = (process.env.BASE_URL ?? 'http://localhost:8080/v1').replace(/\/v1$/, ''); // the library adds /api
const client = new Ollama({ host, headers: { Authorization: `Bearer ${process.env.API_KEY ?? 'none'}` } });
const textOf = (answer) => answer.message.content;
const said = (step, what) => console.log(`${step}: ${what}`);

const { name: model } = (await client.list()).models[0];
said('models', model);

// With a seed, the same request has the same answer.
const question = {
  model,
  messages: [
    { role: 'system', content: 'Answer like a secretary.' },
    { role: 'user', content: 'Whom does the committee thank?' },
  ],
  options: { num_predict: 40, seed: 7 },
};
const withOptions = (options) => ({ ...question, options: { ...question.options, ...options } });
const answer = await client.chat(question);
const text = textOf(answer);
assert.equal(answer.message.role, 'assistant');
assert.ok(answer.eval_count <= 40);
said('chat', JSON.stringify(text));

let streamed = '';
let last;
for await (const line of await client.chat({ ...question, stream: true })) {
  streamed += textOf(line);
  last = line;
}
assert.equal(streamed, text);
assert.equal(last.eval_count, answer.eval_count);
said('stream', `${last.eval_count} tokens`);

const stop = text.slice(5, 7);
const stopped = await client.chat(withOptions({ stop: [stop] }));
assert.equal(textOf(stopped), text.slice(0, text.indexOf(stop)));
assert.equal(stopped.done_reason, 'stop');
said('stop', `${JSON.stringify(textOf(stopped))} before ${JSON.stringify(stop)}`);

assert.equal(textOf(await client.chat(question)), text);
assert.notEqual(textOf(await client.chat(withOptions({ seed: 8 }))), text);
said('seed', 'twice the same');

const format = {
  type: 'object',
  properties: {
    ayes: { type: 'integer', minimum: 0, maximum: 99 },
    outcome: { enum: ['adopted', 'rejected'] },
  },
  required: ['ayes', 'outcome'],
  additionalProperties: false,
};
const { ayes, outcome } = JSON.parse(textOf(await client.chat({ ...withOptions({ num_predict: 200 }), format })));
assert.ok(Number.isInteger(ayes) && ayes <= 99 && format.properties.outcome.enum.includes(outcome));
said('schema', `${ayes} ayes, ${outcome}`);

// A function that the model must call, by a field of this server; what it gives is sent back as a message.
const tools = [{
  type: 'function',
  function: {
    name: 'count_votes',
    description: 'Counts the votes of one side.',
    parameters: {
      type: 'object',
      properties: { side: { type: 'string', enum: ['ayes', 'noes'] } },
      required: ['side'],
      additionalProperties: false,
    },
  },
}];
const mayCall = { ...withOptions({ num_predict: 200 }), tools, parallel_tool_calls: false };
const asked = await client.chat({ ...mayCall, tool_choice: 'required' });
const call = asked.message.tool_calls[0].function;
assert.equal(call.name, 'count_votes');
assert.match(call.arguments.side, /^(ayes|noes)$/);
const result = { role: 'tool', tool_name: call.name, content: '17' };
const then = await client.chat({ ...mayCall, messages: [...question.messages, asked.message, result] });
said('tools', `${JSON.stringify(call.arguments)} and goes on: ${JSON.stringify(textOf(then))}`);

const { embeddings } = await client.embed({ model, input: ['the ayes', 'the noes', 'the ayes'] });
assert.equal(embeddings.length, 3);
assert.deepEqual(embeddings[0], embeddings[2]);
assert.notDeepEqual(embeddings[0], embeddings[1]);
said('embeddings', `${embeddings[0].length} numbers`);

await assert.rejects(client.chat(withOptions({ top_p: 2 })), (error) => {
  assert.equal(error.status_code, 400);
  assert.match(error.message, /^options.top_p/);
  said('error', error.message);
  return true;
});

const long = [{ role: 'user', content: 'the vote '.repeat(100_000) }];
await assert.rejects(client.chat({ ...question, messages: long }), (error) => {
  assert.match(error.message, /context/);
  said('context', error.message);
  return true;
});

// ignore_eos is a field of this server.
const endless = { ...withOptions({ num_predict: 10_000 }), ignore_eos: true, stream: true };

// A server has places for a number of texts (--sequences and --max-queued-requests); when they are taken, it says 429.
// The library does not ask again by itself.
if (process.env.PLACES) {
  const busy = await Promise.all(Array.from({ length: Number(process.env.PLACES) }, () => client.chat(endless)));
  await assert.rejects(client.chat(question), { status_code: 429 });
  globalThis.setTimeout(() => busy.forEach((one) => one.abort()), 300);
  let late;
  while (!late) {
    late = await client.chat(question).catch((error) => {
      assert.equal(error.status_code, 429);
      return pause(200);
    });
  }
  assert.equal(textOf(late), text);
  said('retry', 'answered when there was room');
}

// Whoever leaves a stream ends its text; the server goes on as before.
const left = await client.chat(endless);
for await (const line of left) {
  if (textOf(line)) break;
}
left.abort();
assert.equal(textOf(await client.chat(question)), text);
said('disconnect', 'the next answer is the same');
