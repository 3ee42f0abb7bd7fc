// What a client of a Panamoe server does, by OpenAI's library for JavaScript.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: process.env.BASE_URL ?? 'http://localhost:8080/v1',
  apiKey: process.env.API_KEY ?? 'none', // a server without keys takes any
});
const chat = (request, options) => client.chat.completions.create(request, options);
const textOf = (answer) => answer.choices[0].message.content;
const said = (step, what) => console.log(`${step}: ${what}`);

// The context is a field of this server.
const { id: model, max_model_len: context } = (await client.models.list()).data[0];
assert.ok(context >= 512, `the context of ${model} has ${context} tokens: the step tools needs 512 or more`);
said('models', model);

// With a seed, the same request has the same answer.
const question = {
  model,
  messages: [
    { role: 'system', content: 'Answer like a secretary.' },
    { role: 'user', content: 'Whom does the committee thank?' },
  ],
  max_tokens: 40,
  seed: 7,
};
const answer = await chat(question);
const text = textOf(answer);
assert.equal(answer.choices[0].message.role, 'assistant');
assert.ok(answer.usage.completion_tokens <= 40);
said('chat', JSON.stringify(text));

let streamed = '';
let usage;
for await (const chunk of await chat({ ...question, stream: true, stream_options: { include_usage: true } })) {
  streamed += chunk.choices[0]?.delta.content ?? '';
  usage = chunk.usage ?? usage;
}
assert.equal(streamed, text);
assert.equal(usage.total_tokens, answer.usage.total_tokens);
said('stream', `${usage.completion_tokens} tokens`);

const told = (await chat({ ...question, logprobs: true, top_logprobs: 2 })).choices[0].logprobs.content;
assert.equal(told.length, answer.usage.completion_tokens);
assert.ok(told.every((token) => token.logprob <= 0 && token.top_logprobs.length === 2));
said('logprobs', `${JSON.stringify(told[0].token)} has ${told[0].logprob.toFixed(3)}`);

const stop = text.slice(5, 7);
const stopped = await chat({ ...question, stop });
assert.equal(textOf(stopped), text.slice(0, text.indexOf(stop)));
assert.equal(stopped.choices[0].finish_reason, 'stop');
said('stop', `${JSON.stringify(textOf(stopped))} before ${JSON.stringify(stop)}`);

assert.equal(textOf(await chat(question)), text);
assert.notEqual(textOf(await chat({ ...question, seed: 8 })), text);
said('seed', 'twice the same');

// The library asks for base64 unless the request says float.
const embed = async (fields) => {
  const made = await client.embeddings.create({ model, input: ['A vote.', text], ...fields });
  return made.data[1].embedding.map(Math.fround);
};
const vector = await embed();
assert.deepEqual(await embed({ encoding_format: 'float' }), vector);
assert.equal((await embed({ dimensions: 4 })).length, 4);
said('embeddings', `${vector.length} numbers`);

const vote = {
  type: 'object',
  properties: {
    ayes: { type: 'integer', minimum: 0, maximum: 99 },
    outcome: { enum: ['adopted', 'rejected'] },
  },
  required: ['ayes', 'outcome'],
  additionalProperties: false,
};
const format = { type: 'json_schema', json_schema: { name: 'vote', strict: true, schema: vote } };
const { ayes, outcome } = JSON.parse(textOf(await chat({ ...question, max_tokens: 200, response_format: format })));
assert.ok(Number.isInteger(ayes) && ayes <= 99 && vote.properties.outcome.enum.includes(outcome));
said('schema', `${ayes} ayes, ${outcome}`);

// A function that the model may call, or here must; what it gives is sent back as a message.
const tools = [{
  type: 'function',
  function: {
    name: 'count_votes',
    description: 'Counts the votes of one side.',
    parameters: {
      type: 'object',
      properties: { side: { enum: ['ayes', 'noes'] } },
      required: ['side'],
      additionalProperties: false,
    },
  },
}];
const mayCall = { ...question, max_tokens: 200, tools, parallel_tool_calls: false };
const asked = (await chat({ ...mayCall, tool_choice: 'required' })).choices[0];
assert.equal(asked.finish_reason, 'tool_calls');
const call = asked.message.tool_calls[0];
assert.equal(call.function.name, 'count_votes');
assert.match(JSON.parse(call.function.arguments).side, /^(ayes|noes)$/);
const runner = client.chat.completions.stream({ ...mayCall, tool_choice: 'required' });
assert.equal((await runner.finalMessage()).tool_calls[0].function.arguments, call.function.arguments);
const result = { role: 'tool', tool_call_id: call.id, content: '17' };
const then = await chat({ ...mayCall, messages: [...question.messages, asked.message, result] });
said('tools', `${call.function.arguments} and goes on: ${JSON.stringify(textOf(then))}`);

await assert.rejects(chat({ ...question, max_tokens: -1 }), (error) => {
  assert.ok(error instanceof OpenAI.BadRequestError);
  assert.equal(error.param, 'max_tokens');
  said('error', error.message);
  return true;
});

const long = [{ role: 'user', content: 'the vote '.repeat(context) }];
await assert.rejects(chat({ ...question, messages: long }), (error) => {
  assert.equal(error.code, 'context_length_exceeded');
  said('context', error.message);
  return true;
});

// ignore_eos is a field of this server.
const endless = { ...question, max_tokens: 10_000, ignore_eos: true, stream: true };

// A server has places for a number of texts (--sequences and --max-queued-requests); when they are taken, it says 429
// and when to come again. The library does that by itself.
if (process.env.PLACES) {
  const busy = await chat({ ...endless, n: Number(process.env.PLACES) });
  await assert.rejects(chat(question, { maxRetries: 0 }), OpenAI.RateLimitError);
  setTimeout(() => busy.controller.abort(), 300);
  assert.equal(textOf(await chat(question, { maxRetries: 5 })), text);
  said('retry', 'answered when there was room');
}

// Whoever leaves a stream ends its text; the server goes on as before.
for await (const chunk of await chat(endless)) {
  if (chunk.choices[0].delta.content) break;
}
assert.equal(textOf(await chat(question)), text);
said('disconnect', 'the next answer is the same');
