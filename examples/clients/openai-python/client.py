"""What a client of a Panamoe server does, by OpenAI's library for Python."""

import json
import os
import threading

from openai import BadRequestError, OpenAI, RateLimitError

client = OpenAI(
    base_url=os.environ.get("BASE_URL", "http://localhost:8080/v1"),
    api_key=os.environ.get("API_KEY", "none"),  # a server without keys takes any
)


def chat(client=client, **fields):
    return client.chat.completions.create(**fields)


def text_of(answer):
    return answer.choices[0].message.content


served = client.models.list().data[0]
model, context = served.id, served.max_model_len  # the context is a field of this server
assert context >= 512, f"the context of {model} has {context} tokens: the step tools needs 512 or more"
print("models:", model)

# With a seed, the same request has the same answer.
question = dict(
    model=model,
    messages=[
        {"role": "system", "content": "Answer like a secretary."},
        {"role": "user", "content": "Whom does the committee thank?"},
    ],
    max_tokens=40,
    seed=7,
)
answer = chat(**question)
text = text_of(answer)
assert answer.choices[0].message.role == "assistant"
assert answer.usage.completion_tokens <= 40
print("chat:", repr(text))

chunks = list(chat(**question, stream=True, stream_options={"include_usage": True}))
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == text
assert chunks[-1].usage.total_tokens == answer.usage.total_tokens
print("stream:", chunks[-1].usage.completion_tokens, "tokens")

told = chat(**question, logprobs=True, top_logprobs=2).choices[0].logprobs.content
assert len(told) == answer.usage.completion_tokens
assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in told)
print("logprobs:", repr(told[0].token), "has", round(told[0].logprob, 3))

stop = text[5:7]
stopped = chat(**question, stop=stop)
assert text_of(stopped) == text[: text.index(stop)]
assert stopped.choices[0].finish_reason == "stop"
print("stop:", repr(text_of(stopped)), "before", repr(stop))

assert text_of(chat(**question)) == text
assert text_of(chat(**question | {"seed": 8})) != text
print("seed: twice the same")


def embed(**fields):
    return client.embeddings.create(model=model, input=["A vote.", text], **fields).data[1].embedding


vector = embed()
assert all(abs(x - y) < 1e-6 for x, y in zip(vector, embed(encoding_format="float"), strict=True))
assert len(embed(dimensions=4)) == 4
print("embeddings:", len(vector), "numbers")

vote = {
    "type": "object",
    "properties": {
        "ayes": {"type": "integer", "minimum": 0, "maximum": 99},
        "outcome": {"enum": ["adopted", "rejected"]},
    },
    "required": ["ayes", "outcome"],
    "additionalProperties": False,
}
form = {"type": "json_schema", "json_schema": {"name": "vote", "strict": True, "schema": vote}}
kept = json.loads(text_of(chat(**question | {"max_tokens": 200}, response_format=form)))
assert 0 <= kept["ayes"] <= 99 and kept["outcome"] in ("adopted", "rejected")
print("schema:", kept["ayes"], "ayes,", kept["outcome"])

# A function that the model may call, or here must; what it gives is sent back as a message.
tool = {
    "type": "function",
    "function": {
        "name": "count_votes",
        "description": "Counts the votes of one side.",
        "parameters": {
            "type": "object",
            "properties": {"side": {"enum": ["ayes", "noes"]}},
            "required": ["side"],
            "additionalProperties": False,
        },
    },
}
may_call = question | {"max_tokens": 200, "tools": [tool], "parallel_tool_calls": False}
asked = chat(**may_call, tool_choice="required").choices[0]
assert asked.finish_reason == "tool_calls"
call = asked.message.tool_calls[0]
assert call.function.name == "count_votes"
assert json.loads(call.function.arguments)["side"] in ("ayes", "noes")
with client.beta.chat.completions.stream(**may_call, tool_choice="required") as stream:
    streamed = stream.get_final_completion().choices[0].message
assert streamed.tool_calls[0].function.arguments == call.function.arguments
result = {"role": "tool", "tool_call_id": call.id, "content": "17"}
then = chat(**may_call | {"messages": [*question["messages"], asked.message, result]})
print("tools:", call.function.arguments, "and goes on:", repr(text_of(then)))

try:
    chat(**question | {"max_tokens": -1})
    raise AssertionError("a wrong request was answered")
except BadRequestError as error:
    assert error.param == "max_tokens"
    print("error:", error.body["message"])

try:
    chat(**question | {"messages": [{"role": "user", "content": "the vote " * context}]})
    raise AssertionError("a prompt beyond the context was answered")
except BadRequestError as error:
    assert error.code == "context_length_exceeded"
    print("context:", error.body["message"])

# ignore_eos is a field of this server.
endless = question | {"max_tokens": 10_000, "extra_body": {"ignore_eos": True}, "stream": True}

# A server has places for a number of texts (--sequences and --max-queued-requests); when they are taken, it says 429
# and when to come again. The library does that by itself.
if "PLACES" in os.environ:
    busy = chat(**endless, n=int(os.environ["PLACES"]))
    try:
        chat(client.with_options(max_retries=0), **question)
        raise AssertionError("there was room")
    except RateLimitError:
        threading.Timer(0.3, busy.close).start()
    assert text_of(chat(client.with_options(max_retries=5), **question)) == text
    print("retry: answered when there was room")

# Whoever leaves a stream ends its text; the server goes on as before.
with chat(**endless) as stream:
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
assert text_of(chat(**question)) == text
print("disconnect: the next answer is the same")
