// What a client of a Panamoe server does, by LangChain.js with Responses.
import assert from 'node:assert/strict';
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';

const baseURL = process.env.BASE_URL ?? 'http://localhost:8080/v1';
const apiKey = process.env.API_KEY ?? 'none'; // a server without keys takes any
const said = (step, what) => console.log(`${step}: ${what}`);
const ask = (path, init) => fetch(baseURL + path, { headers: { authorization: `Bearer ${apiKey}` }, ...init });

const { id: name, max_model_len: context } = (await (await ask('/models')).json()).data[0];
said('models', name);

// With a seed, which is a field of this server, the same request has the same answer.
const chat = ({ seed = 7, maxTokens = 40, ignore_eos, ...fields } = {}) =>
  new ChatOpenAI({
    model: name,
    apiKey,
    configuration: { baseURL },
    useResponsesApi: true,
    maxTokens,
    maxRetries: 0,
    modelKwargs: { seed, ignore_eos },
    ...fields,
  });
const question = [new SystemMessage('Answer like a secretary.'), new HumanMessage('Whom does the committee thank?')];
const answer = await chat().invoke(question);
assert.ok(answer.usage_metadata.output_tokens <= 40);
said('chat', JSON.stringify(answer.text));

let streamed;
for await (const chunk of await chat().stream(question)) streamed = streamed?.concat(chunk) ?? chunk;
assert.equal(streamed.text, answer.text);
assert.equal(streamed.usage_metadata.total_tokens, answer.usage_metadata.total_tokens);
said('stream', `${streamed.usage_metadata.output_tokens} tokens`);

assert.equal((await chat().invoke(question)).text, answer.text);
assert.notEqual((await chat({ seed: 8 }).invoke(question)).text, answer.text);
said('seed', 'twice the same');

// The server keeps responses, so that the next request needs only what is new.
const next = new HumanMessage('And the guests?');
const chained = await chat().invoke([next], { previous_response_id: answer.response_metadata.id });
assert.equal((await chat().invoke([...question, answer, next])).text, chained.text);
said('continue', JSON.stringify(chained.text));

const vote = z.object({ ayes: z.int().min(0).max(99), outcome: z.enum(['adopted', 'rejected']) });
const format = chat({ maxTokens: 200 }).withStructuredOutput(vote, { name: 'vote', method: 'jsonSchema', strict: true });
const object = await format.invoke(question);
said('schema', `${object.ayes} ayes, ${object.outcome}`);

const count_votes = tool(async () => '17', {
  name: 'count_votes',
  description: 'Counts the votes of one side.',
  schema: z.object({ side: z.enum(['ayes', 'noes']) }),
});
// With Responses the library sends the name of a function as tool_choice, but not the word required.
const mayCall = { parallel_tool_calls: false, strict: true };
const caller = chat({ maxTokens: 200 }).bindTools([count_votes], { ...mayCall, tool_choice: 'count_votes' });
const asked = await caller.invoke(question);
const call = asked.tool_calls[0];
assert.equal(call.name, 'count_votes');
assert.match(call.args.side, /^(ayes|noes)$/);
let again;
for await (const chunk of await caller.stream(question)) again = again?.concat(chunk) ?? chunk;
assert.deepEqual(again.tool_calls[0].args, call.args);
const result = await count_votes.invoke(call);
assert.ok(result instanceof ToolMessage);
const then = await chat({ maxTokens: 200 }).bindTools([count_votes], mayCall).invoke([...question, asked, result]);
said('tools', `${call.args.side} and goes on: ${JSON.stringify(then.text)}`);

await assert.rejects(chat({ topP: -1 }).invoke(question), (error) => {
  assert.equal(error.param, 'top_p');
  said('error', error.message);
  return true;
});

await assert.rejects(chat().invoke([new HumanMessage('the vote '.repeat(context))]), (error) => {
  assert.equal(error.code, 'context_length_exceeded');
  said('context', error.message);
  return true;
});

// A server has places for a number of texts (--sequences and --max-queued-requests); when they are taken, it says 429.
// The library asks again, at its own times.
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
  await assert.rejects(chat().invoke(question), (error) => error.status === 429);
  setTimeout(() => leaving.abort(), 300);
  assert.equal((await chat({ maxRetries: 5 }).invoke(question)).text, answer.text);
  said('retry', 'answered when there was room');
}

// Whoever leaves a stream ends its text; the server goes on as before. ignore_eos is a field of this server.
const leaving = new AbortController();
const endless = chat({ maxTokens: 10_000, ignore_eos: true });
for await (const chunk of await endless.stream(question, { signal: leaving.signal })) if (chunk.text) break;
leaving.abort();
assert.equal((await chat().invoke(question)).text, answer.text);
said('disconnect', 'the next answer is the same');
