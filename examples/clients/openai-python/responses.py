"""What a client of a Panamoe server does with Responses, by OpenAI's library for Python."""

import json
import os

from openai import BadRequestError, NotFoundError, OpenAI

client = OpenAI(
    base_url=os.environ.get("BASE_URL", "http://localhost:8080/v1"),
    api_key=os.environ.get("API_KEY", "none"),  # a server without keys takes any
)
served = client.models.list().data[0]
model, context = served.id, served.max_model_len


def respond(**fields):
    return client.responses.create(**fields)


# With a seed, which is a field of this server, the same request has the same answer.
question = dict(
    model=model,
    instructions="Answer like a secretary.",
    input="Whom does the committee thank?",
    max_output_tokens=40,
    extra_body={"seed": 7},
)
answer = respond(**question)
assert answer.status in ("completed", "incomplete")
assert answer.usage.output_tokens <= 40
print("respond:", repr(answer.output_text))

events = list(respond(**question, stream=True))
assert events[0].type == "response.created"
assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == answer.output_text
assert events[-1].response.output_text == answer.output_text
print("events:", len({event.type for event in events}), "types")

# The server keeps responses, so that the next request needs only what is new. It may forget them.
more = question | {"input": "And the guests?"}
chained = respond(**more, previous_response_id=answer.id)
items = [{"role": "user", "content": question["input"]}, *answer.output, {"role": "user", "content": more["input"]}]
assert respond(**more | {"input": items}).output_text == chained.output_text
assert client.responses.retrieve(answer.id).output_text == answer.output_text
assert client.responses.input_items.list(answer.id).data[0].content[0].text == question["input"]
client.responses.delete(answer.id)
try:
    respond(**more, previous_response_id=answer.id)
    raise AssertionError("a response that was forgotten was continued")
except NotFoundError:
    print("continue:", repr(chained.output_text))

vote = {
    "type": "object",
    "properties": {
        "ayes": {"type": "integer", "minimum": 0, "maximum": 99},
        "outcome": {"enum": ["adopted", "rejected"]},
    },
    "required": ["ayes", "outcome"],
    "additionalProperties": False,
}
form = {"format": {"type": "json_schema", "name": "vote", "strict": True, "schema": vote}}
kept = json.loads(respond(**question | {"max_output_tokens": 200}, text=form).output_text)
assert 0 <= kept["ayes"] <= 99 and kept["outcome"] in ("adopted", "rejected")
print("schema:", kept["ayes"], "ayes,", kept["outcome"])

tool = {
    "type": "function",
    "name": "count_votes",
    "description": "Counts the votes of one side.",
    "parameters": {
        "type": "object",
        "properties": {"side": {"enum": ["ayes", "noes"]}},
        "required": ["side"],
        "additionalProperties": False,
    },
    "strict": True,
}
may_call = question | {"max_output_tokens": 200, "tools": [tool], "parallel_tool_calls": False}
asked = respond(**may_call, tool_choice="required")
call = next(item for item in asked.output if item.type == "function_call")
assert call.name == "count_votes"
assert json.loads(call.arguments)["side"] in ("ayes", "noes")
with client.responses.stream(**may_call, tool_choice="required") as stream:
    assert stream.get_final_response().output[-1].arguments == call.arguments
result = {"type": "function_call_output", "call_id": call.call_id, "output": "17"}
then = respond(**may_call | {"input": [result]}, previous_response_id=asked.id)
items = [{"role": "user", "content": question["input"]}, *asked.output, result]
assert respond(**may_call | {"input": items}).usage.input_tokens == then.usage.input_tokens
print("tools:", call.arguments, "and goes on:", repr(then.output_text))

try:
    respond(**question | {"input": [result]})
    raise AssertionError("a wrong request was answered")
except BadRequestError as error:
    assert error.param == "input[0].call_id"
    print("error:", error.body["message"])

crowd = "the vote " * context
try:
    respond(**question | {"input": crowd})
    raise AssertionError("a prompt beyond the context was answered")
except BadRequestError as error:
    assert error.code == "context_length_exceeded"
many = [{"role": "user", "content": crowd}, {"role": "user", "content": question["input"]}]
cut = respond(**question | {"input": many}, truncation="auto")
assert cut.output_text == answer.output_text
print("context: the oldest items were dropped")
