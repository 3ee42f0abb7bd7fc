// What a client of a Panamoe server does, by Anthropic's library for JavaScript.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({
  baseURL: (process.env.BASE_URL ?? 'http://localhost:8080/v1').replace(/\/v1$/, ''), // the library adds /v1
  apiKey: process.env.API_KEY ?? 'none', // a server without keys takes any
});
const ask = (request, options) => client.messages.create(request, options);
const textOf = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
const said = (step, what) => console.log(`${step}: ${what}`);

const { id: model, max_input_tokens: context } = (await client.models.list()).data[0];
assert.ok(context >= 512, `the context of ${model} has ${context} tokens: the step tools needs 512 or more`);
assert.equal((await client.models.retrieve(model)).display_name, model);
said('models', model);

// seed is a field of this server: with it, the same request has the same answer.
const question = {
  model,
  system: [{ type: 'text', text: 'Answer like a secretary.', cache_control: { type: 'ephemeral' } }],
  messages: [{ role: 'user', content: 'Whom does the committee thank?' }],
  max_tokens: 40,
  seed: 7,
};
const answer = await ask(question);
const text = textOf(answer);
assert.equal(answer.role, 'assistant');
assert.ok(answer.usage.output_tokens <= 40);
said('chat', JSON.stringify(text));

const { input_tokens: counted } = await client.messages.countTokens({ ...question, max_tokens: undefined, seed: undefined });
assert.equal(counted, answer.usage.input_tokens + answer.usage.cache_read_input_tokens);
said('count', `${counted} tokens`);

let streamed = '';
const stream = client.messages.stream(question).on('text', (piece) => (streamed += piece));
const final = await stream.finalMessage();
assert.equal(streamed, text);
assert.equal(textOf(final), text);
assert.equal(final.usage.output_tokens, answer.usage.output_tokens);
assert.equal(final.usage.input_tokens + final.usage.cache_read_input_tokens, counted);
assert.ok(final.usage.cache_read_input_tokens > 0, 'the cache has the prompt of the request before');
said('stream', `${final.usage.output_tokens} tokens`);

const stop = text.slice(5, 7);
const stopped = await ask({ ...question, stop_sequences: [stop] });
assert.equal(textOf(stopped), text.slice(0, text.indexOf(stop)));
assert.equal(stopped.stop_reason, 'stop_sequence');
assert.equal(stopped.stop_sequence, stop);
said('stop', `${JSON.stringify(textOf(stopped))} before ${JSON.stringify(stop)}`);

assert.equal(textOf(await ask(question)), text);
assert.notEqual(textOf(await ask({ ...question, seed: 8 })), text);
said('seed', 'twice the same');

const vote = {
  type: 'object',
  properties: {
    ayes: { type: 'integer', minimum: 0, maximum: 99 },
    outcome: { enum: ['adopted', 'rejected'] },
  },
  required: ['ayes', 'outcome'],
  additionalProperties: false,
};
const format = { format: { type: 'json_schema', schema: vote } };
const { ayes, outcome } = JSON.parse(textOf(await ask({ ...question, max_tokens: 200, output_config: format })));
assert.ok(Number.isInteger(ayes) && ayes <= 99 && vote.properties.outcome.enum.includes(outcome));
said('schema', `${ayes} ayes, ${outcome}`);

// A tool that the model may use, or here must; what it gives is sent back as a block.
const tools = [{
  name: 'count_votes',
  description: 'Counts the votes of one side.',
  input_schema: {
    type: 'object',
    properties: { side: { enum: ['ayes', 'noes'] } },
    required: ['side'],
    additionalProperties: false,
  },
}];
const mayCall = { ...question, max_tokens: 200, tools };
const mustCall = { ...mayCall, tool_choice: { type: 'any', disable_parallel_tool_use: true } };
const asked = await ask(mustCall);
assert.equal(asked.stop_reason, 'tool_use');
const call = asked.content[0];
assert.equal(call.name, 'count_votes');
assert.match(call.input.side, /^(ayes|noes)$/);
assert.deepEqual((await client.messages.stream(mustCall).finalMessage()).content[0].input, call.input);
const result = { type: 'tool_result', tool_use_id: call.id, content: [{ type: 'text', text: '17' }] };
const then = await ask({
  ...mayCall,
  tool_choice: { type: 'auto' },
  messages: [
    ...question.messages,
    { role: 'assistant', content: asked.content },
    { role: 'user', content: [result] },
  ],
});
said('tools', `${JSON.stringify(call.input)} and goes on: ${JSON.stringify(textOf(then))}`);

// The library's loop calls the function by itself; it asks /v1/messages?beta=true.
let calls = 0;
const run = (input) => String(calls++ && input.side.length);
const runner = client.beta.messages.toolRunner({ ...mustCall, max_iterations: 2, tools: [{ ...tools[0], run, parse: (input) => input }] });
await runner.runUntilDone();
assert.ok(calls > 0);
said('runner', `${calls} calls`);

await assert.rejects(ask({ ...question, max_tokens: -1 }), (error) => {
  assert.ok(error instanceof Anthropic.BadRequestError);
  assert.equal(error.type, 'invalid_request_error');
  said('error', error.apiMessage);
  return true;
});

const long = [{ role: 'user', content: 'the vote '.repeat(context) }];
await assert.rejects(ask({ ...question, messages: long }), (error) => {
  assert.match(error.apiMessage, /context/);
  said('context', error.apiMessage);
  return true;
});

// ignore_eos is a field of this server.
const endless = { ...question, max_tokens: 10_000, ignore_eos: true, stream: true };

// A server has places for a number of texts (--sequences and --max-queued-requests); when they are taken, it says 429
// and when to come again. The library does that by itself.
if (process.env.PLACES) {
  const busy = await Promise.all(Array.from({ length: Number(process.env.PLACES) }, () => ask(endless)));
  await assert.rejects(ask(question, { maxRetries: 0 }), Anthropic.RateLimitError);
  setTimeout(() => busy.forEach((one) => one.controller.abort()), 300);
  assert.equal(textOf(await ask(question, { maxRetries: 5 })), text);
  said('retry', 'answered when there was room');
}

// Whoever leaves a stream ends its text; the server goes on as before.
for await (const event of await ask(endless)) {
  if (event.type === 'content_block_delta') break;
}
assert.equal(textOf(await ask(question)), text);
said('disconnect', 'the next answer is the same');
