// What a client of a Panamoe server does with Responses, by OpenAI's library for JavaScript.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: process.env.BASE_URL ?? 'http://localhost:8080/v1',
  apiKey: process.env.API_KEY ?? 'none', // a server without keys takes any
});
const respond = (request, options) => client.responses.create(request, options);
const said = (step, what) => console.log(`${step}: ${what}`);
const { id: model, max_model_len: context } = (await client.models.list()).data[0];

// With a seed, which is a field of this server, the same request has the same answer.
const question = {
  model,
  instructions: 'Answer like a secretary.',
  input: 'Whom does the committee thank?',
  max_output_tokens: 40,
  seed: 7,
};
const answer = await respond(question);
assert.ok(['completed', 'incomplete'].includes(answer.status));
assert.ok(answer.usage.output_tokens <= 40);
said('respond', JSON.stringify(answer.output_text));

// The library puts the response together from the events.
const types = new Set();
const stream = client.responses.stream(question).on('event', (event) => types.add(event.type));
const streamed = await stream.finalResponse();
assert.equal(streamed.output_text, answer.output_text);
assert.ok(types.has('response.created') && types.has('response.output_text.done'));
said('events', `${types.size} types`);

const told = (await respond({ ...question, include: ['message.output_text.logprobs'], top_logprobs: 2 })).output;
const logprobs = told[0].content[0].logprobs;
assert.equal(logprobs.length, answer.usage.output_tokens);
assert.ok(logprobs.every((token) => token.logprob <= 0 && token.top_logprobs.length === 2));
said('logprobs', `${JSON.stringify(logprobs[0].token)} has ${logprobs[0].logprob.toFixed(3)}`);

// The server keeps responses, so that the next request needs only what is new. It may forget them.
const next = { ...question, input: 'And the guests?' };
const chained = await respond({ ...next, previous_response_id: answer.id });
const items = [{ role: 'user', content: question.input }, ...answer.output, { role: 'user', content: next.input }];
assert.equal(chained.output_text, (await respond({ ...next, input: items })).output_text);
assert.equal((await client.responses.retrieve(answer.id)).output_text, answer.output_text);
assert.equal((await client.responses.inputItems.list(answer.id)).data[0].content[0].text, question.input);
await client.responses.delete(answer.id);
await assert.rejects(respond({ ...next, previous_response_id: answer.id }), OpenAI.NotFoundError);
said('continue', JSON.stringify(chained.output_text));

const vote = {
  type: 'object',
  properties: { ayes: { type: 'integer', minimum: 0, maximum: 99 }, outcome: { enum: ['adopted', 'rejected'] } },
  required: ['ayes', 'outcome'],
  additionalProperties: false,
};
const format = { type: 'json_schema', name: 'vote', strict: true, schema: vote };
const { ayes, outcome } = (
  await client.responses.parse({ ...question, max_output_tokens: 200, text: { format } })
).output_parsed;
assert.ok(Number.isInteger(ayes) && ayes <= 99 && vote.properties.outcome.enum.includes(outcome));
said('schema', `${ayes} ayes, ${outcome}`);

const tools = [{
  type: 'function',
  name: 'count_votes',
  description: 'Counts the votes of one side.',
  parameters: {
    type: 'object',
    properties: { side: { enum: ['ayes', 'noes'] } },
    required: ['side'],
    additionalProperties: false,
  },
  strict: true,
}];
const mayCall = { ...question, max_output_tokens: 200, tools, parallel_tool_calls: false };
const asked = await respond({ ...mayCall, tool_choice: 'required' });
const call = asked.output.find((item) => item.type === 'function_call');
assert.equal(call.name, 'count_votes');
assert.match(JSON.parse(call.arguments).side, /^(ayes|noes)$/);
const again = await client.responses.stream({ ...mayCall, tool_choice: 'required' }).finalResponse();
assert.equal(again.output.at(-1).arguments, call.arguments);
const result = { type: 'function_call_output', call_id: call.call_id, output: '17' };
const then = await respond({ ...mayCall, input: [result], previous_response_id: asked.id });
const whole = [{ role: 'user', content: question.input }, ...asked.output, result];
assert.equal((await respond({ ...mayCall, input: whole })).usage.input_tokens, then.usage.input_tokens);
said('tools', `${call.arguments} and goes on: ${JSON.stringify(then.output_text)}`);

await assert.rejects(respond({ ...question, input: [result] }), (error) => {
  assert.ok(error instanceof OpenAI.BadRequestError);
  assert.equal(error.param, 'input[0].call_id');
  said('error', error.message);
  return true;
});

const long = 'the vote '.repeat(context);
await assert.rejects(respond({ ...question, input: long }), (error) => error.code === 'context_length_exceeded');
const many = [{ role: 'user', content: long }, { role: 'user', content: question.input }];
const cut = await respond({ ...question, input: many, truncation: 'auto' });
assert.equal(cut.output_text, answer.output_text);
said('context', 'the oldest items were dropped');
