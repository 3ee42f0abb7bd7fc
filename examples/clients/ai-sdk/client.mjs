// What a client of a Panamoe server does, by the AI SDK, whose models of OpenAI use Responses.
import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

globalThis.AI_SDK_LOG_WARNINGS = false; // it warns of the seed, which it does not send
const baseURL = process.env.BASE_URL ?? 'http://localhost:8080/v1';
const apiKey = process.env.API_KEY ?? 'none'; // a server without keys takes any
// Fields that the library does not have are added to each request.
const more = { seed: 7 };
const openai = createOpenAI({
  baseURL,
  apiKey,
  fetch: (url, init) => fetch(url, { ...init, body: JSON.stringify({ ...JSON.parse(init.body), ...more }) }),
});
const said = (step, what) => console.log(`${step}: ${what}`);
const ask = (path, init) => fetch(baseURL + path, { headers: { authorization: `Bearer ${apiKey}` }, ...init });

const { id: name, max_model_len: context } = (await (await ask('/models')).json()).data[0];
const model = openai(name);
said('models', name);

// With a seed, the same request has the same answer.
const question = {
  model,
  system: 'Answer like a secretary.',
  prompt: 'Whom does the committee thank?',
  maxOutputTokens: 40,
};
const answer = await generateText(question);
assert.ok(answer.usage.outputTokens <= 40);
said('chat', JSON.stringify(answer.text));

const stream = streamText(question);
let streamed = '';
for await (const text of stream.textStream) streamed += text;
assert.equal(streamed, answer.text);
assert.equal((await stream.usage).totalTokens, answer.usage.totalTokens);
said('stream', `${(await stream.usage).outputTokens} tokens`);

const told = await generateText({ ...question, providerOptions: { openai: { logprobs: 2 } } });
const logprobs = told.providerMetadata.openai.logprobs[0];
assert.equal(logprobs.length, answer.usage.outputTokens);
said('logprobs', `${JSON.stringify(logprobs[0].token)} has ${logprobs[0].logprob.toFixed(3)}`);

more.seed = 8;
assert.notEqual((await generateText(question)).text, answer.text);
more.seed = 7;
assert.equal((await generateText(question)).text, answer.text);
said('seed', 'twice the same');

// The server keeps responses, so that the next request needs only what is new. The system's message is kept, too.
const previousResponseId = answer.providerMetadata.openai.responseId;
const next = { ...question, prompt: 'And the guests?' };
const chained = await generateText({
  ...next,
  system: undefined,
  providerOptions: { openai: { previousResponseId } },
});
const messages = [
  { role: 'user', content: question.prompt },
  ...answer.response.messages,
  { role: 'user', content: next.prompt },
];
assert.equal((await generateText({ ...next, prompt: undefined, messages })).text, chained.text);
said('continue', JSON.stringify(chained.text));

const vote = z.object({ ayes: z.int().min(0).max(99), outcome: z.enum(['adopted', 'rejected']) });
const format = { ...question, maxOutputTokens: 200, output: Output.object({ schema: vote }) };
const object = (await generateText(format)).output;
assert.deepEqual(await streamText(format).output, object);
said('schema', `${object.ayes} ayes, ${object.outcome}`);

// The library calls the function and sends its result in the next request.
const calls = [];
const count_votes = tool({
  description: 'Counts the votes of one side.',
  inputSchema: z.object({ side: z.enum(['ayes', 'noes']) }),
  execute: async ({ side }) => {
    calls.push(side);
    return 17;
  },
});
const mayCall = {
  ...question,
  maxOutputTokens: 200,
  tools: { count_votes },
  prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' }),
  stopWhen: stepCountIs(2),
  providerOptions: { openai: { parallelToolCalls: false } },
};
const then = await generateText(mayCall);
const streamedCall = streamText(mayCall);
await streamedCall.consumeStream();
assert.equal(calls.length, 2);
assert.equal(calls[0], calls[1]);
assert.equal(await streamedCall.text, then.text);
said('tools', `${calls[0]} and goes on: ${JSON.stringify(then.text)}`);

await assert.rejects(generateText({ ...question, topP: -1 }), (error) => {
  assert.ok(APICallError.isInstance(error));
  assert.equal(error.data.error.param, 'top_p');
  said('error', error.message);
  return true;
});

await assert.rejects(generateText({ ...question, prompt: 'the vote '.repeat(context) }), (error) => {
  assert.equal(error.data.error.code, 'context_length_exceeded');
  said('context', error.message);
  return true;
});

// A server has places for a number of texts (--sequences and --max-queued-requests); when they are taken, it says 429
// and when to come again. The library does that by itself.
if (process.env.PLACES) {
  const leaving = new AbortController();
  await ask('/chat/completions', {
    method: 'POST',
    signal: leaving.signal,
    body: JSON.stringify({
      messages: [{ role: 'user', content: 'Hello' }],
      n: Number(process.env.PLACES),
      max_tokens: 10_000,
      ignore_eos: true,
      stream: true,
    }),
  });
  await assert.rejects(generateText({ ...question, maxRetries: 0 }), (error) => error.statusCode === 429);
  setTimeout(() => leaving.abort(), 300);
  assert.equal((await generateText({ ...question, maxRetries: 5 })).text, answer.text);
  said('retry', 'answered when there was room');
}

// Whoever leaves a stream ends its text; the server goes on as before. ignore_eos is a field of this server.
const leaving = new AbortController();
more.ignore_eos = true;
const endless = streamText({ ...question, maxOutputTokens: 10_000, abortSignal: leaving.signal });
for await (const text of endless.textStream) if (text) break;
leaving.abort();
delete more.ignore_eos;
assert.equal((await generateText(question)).text, answer.text);
said('disconnect', 'the next answer is the same');
