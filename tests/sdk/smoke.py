"""The real SDKs against a running Pointsman: smoke.py BASE_URL KEY.

The models that it expects (gpt, claude, glm, …-cut, …-bad, router:both) are set up by tests/it/sdk.rs.
"""

import sys

import anthropic
import openai

BASE, KEY = sys.argv[1], sys.argv[2]
OPENAI = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0, timeout=30)
ANTHROPIC = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0, timeout=30)
QUESTION = [{"role": "user", "content": "What is a railway point?"}]
TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


def raises(kind, call):
    """`call` must raise `kind`, and nothing else."""
    try:
        call()
    except kind as raised:
        return raised
    raise AssertionError(f"{kind.__name__} was not raised")


def chat(model):
    """Text, stream and tools with Chat Completions."""
    answer = OPENAI.chat.completions.create(model=model, messages=QUESTION)
    text = answer.choices[0].message.content
    assert "simulated" in text, text
    assert answer.usage.total_tokens > 0
    parts = list(OPENAI.chat.completions.create(
        model=model, messages=QUESTION, stream=True, stream_options={"include_usage": True}))
    streamed = "".join(c.choices[0].delta.content or "" for c in parts if c.choices)
    assert streamed == text, (streamed, text)
    assert parts[-1].usage and parts[-1].usage.total_tokens > 0, parts[-1]
    names = {part.model for part in parts}
    assert len(names) == 1 and not names.pop().startswith("upstream-"), parts[0]
    silent = list(OPENAI.chat.completions.create(model=model, messages=QUESTION, stream=True))
    assert all(part.usage is None for part in silent), "usage that nobody asked for"
    tools = [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}]
    asked = [{"role": "user", "content": "Please call weather for Paris."}]
    called = OPENAI.chat.completions.create(model=model, messages=asked, tools=tools).choices[0]
    assert called.finish_reason == "tool_calls", called
    assert called.message.tool_calls[0].function.name == "weather"
    deltas = OPENAI.chat.completions.create(model=model, messages=asked, tools=tools, stream=True)
    arguments = "".join(
        call.function.arguments or ""
        for part in deltas if part.choices
        for call in part.choices[0].delta.tool_calls or [])
    assert arguments == called.message.tool_calls[0].function.arguments, arguments
    asked += [called.message.model_dump(exclude_none=True),
              {"role": "tool", "tool_call_id": called.message.tool_calls[0].id, "content": "rain"}]
    after = OPENAI.chat.completions.create(model=model, messages=asked, tools=tools)
    assert "rain" in after.choices[0].message.content


def responses(model):
    """Text, stream and tools with Responses."""
    answer = OPENAI.responses.create(model=model, input="What is a railway point?")
    assert "simulated" in answer.output_text, answer
    assert answer.status == "completed" and answer.usage.output_tokens > 0
    text, ended = "", None
    for event in OPENAI.responses.create(model=model, input="What is a railway point?", stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            ended = event.response
    assert text == answer.output_text, text
    assert ended and ended.output_text == text
    tools = [{"type": "function", "name": "weather", "parameters": TOOL, "strict": False}]
    called = OPENAI.responses.create(model=model, input="Please call weather for Paris.", tools=tools)
    assert [item.name for item in called.output if item.type == "function_call"] == ["weather"], called


def messages(model):
    """Text, stream and tools with Messages."""
    answer = ANTHROPIC.messages.create(model=model, max_tokens=300, messages=QUESTION)
    text = answer.content[0].text
    assert "simulated" in text and answer.stop_reason == "end_turn", answer
    assert answer.usage.output_tokens > 0
    with ANTHROPIC.messages.stream(model=model, max_tokens=300, messages=QUESTION) as stream:
        streamed = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert streamed == text, streamed
    assert final.usage.output_tokens > 0 and final.stop_reason == "end_turn"
    tools = [{"name": "weather", "description": "the weather", "input_schema": TOOL}]
    asked = [{"role": "user", "content": "Please call weather for Paris."}]
    called = ANTHROPIC.messages.create(model=model, max_tokens=300, messages=asked, tools=tools)
    assert called.stop_reason == "tool_use", called
    use = next(block for block in called.content if block.type == "tool_use")
    assert use.name == "weather" and use.input == {"city": "simulated"}
    short = ANTHROPIC.messages.create(model=model, max_tokens=3, messages=QUESTION)
    assert short.stop_reason == "max_tokens", short


def mistakes():
    """Every error raises the SDK's own class."""
    create = OPENAI.chat.completions.create
    unknown = raises(openai.NotFoundError, lambda: create(model="gone", messages=QUESTION))
    assert unknown.code == "model_not_found", unknown
    raises(openai.BadRequestError, lambda: create(model="gpt-bad", messages=QUESTION))
    raises(openai.BadRequestError, lambda: create(model="claude-bad", messages=QUESTION))
    stranger = OPENAI.with_options(api_key="wrong")
    raises(openai.AuthenticationError,
           lambda: stranger.chat.completions.create(model="gpt", messages=QUESTION))
    ask = ANTHROPIC.messages.create
    raises(anthropic.NotFoundError, lambda: ask(model="gone", max_tokens=9, messages=QUESTION))
    raises(anthropic.BadRequestError, lambda: ask(model="claude-bad", max_tokens=9, messages=QUESTION))
    raises(anthropic.BadRequestError, lambda: ask(model="gpt-bad", max_tokens=9, messages=QUESTION))
    stranger = ANTHROPIC.with_options(api_key="wrong")
    raises(anthropic.AuthenticationError,
           lambda: stranger.messages.create(model="claude", max_tokens=9, messages=QUESTION))


def cuts():
    """A stream that breaks after its first content raises; it never looks complete."""
    for model in ("gpt-cut", "claude-cut"):
        seen = []

        def read_chat():
            for part in OPENAI.chat.completions.create(model=model, messages=QUESTION, stream=True):
                seen.append(part)

        raises(openai.APIError, read_chat)
        assert seen, f"{model}: nothing came before the break"

        def read_messages():
            with ANTHROPIC.messages.stream(model=model, max_tokens=99, messages=QUESTION) as stream:
                for _ in stream.text_stream:
                    pass

        raises(anthropic.APIError, read_messages)


def lists():
    """Both SDKs list models and routers."""
    ids = [model.id for model in OPENAI.models.list()]
    assert "gpt" in ids and "router:both" in ids, ids
    assert OPENAI.models.retrieve("claude").id == "claude"
    ids = [model.id for model in ANTHROPIC.models.list()]
    assert "claude" in ids and "router:both" in ids, ids


def others():
    """The endpoints that go straight to a model."""
    vectors = OPENAI.embeddings.create(model="gpt", input=["a", "b"])
    assert len(vectors.data) == 2
    counted = ANTHROPIC.messages.count_tokens(model="claude", messages=QUESTION)
    assert counted.input_tokens > 0
    estimated = ANTHROPIC.messages.with_raw_response.count_tokens(model="gpt", messages=QUESTION)
    assert estimated.headers.get("x-pointsman-estimated") == "true"
    raw = OPENAI.chat.completions.with_raw_response.create(model="router:both", messages=QUESTION)
    assert raw.headers["x-pointsman-model"] == "glm" and raw.headers["x-pointsman-reason"] == "unclassified"


STEPS = [(step, model) for step in (chat, responses, messages)
         for model in ("gpt", "claude", "glm", "router:both")]
for step, model in STEPS:
    step(model)
    print(f"ok {step.__name__} {model}")
for step in (mistakes, cuts, lists, others):
    step()
    print(f"ok {step.__name__}")
print("sdk smoke: ok")
