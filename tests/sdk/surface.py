"""One way to ask, whichever SDK asks: what `matrix.py` says once, each of the three APIs says in its own words."""

import json
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai

PIXEL = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
PAPER = "JVBERi0xLjQKJSVFT0YK"
PICTURE_URL = "https://pictures.invalid/point.png"


@dataclass
class Tool:
    """A function on offer."""

    name: str
    description: str
    schema: dict


@dataclass
class Answer:
    """What any SDK gives back."""

    text: str = ""
    calls: list = field(default_factory=list)      # (id, name, arguments)
    reasoning: str = ""
    refusal: str = ""
    stop: str = ""                                 # end | length | tools | filter
    tokens: tuple = (0, 0)                         # all input, all output
    cached: int = 0                                # input tokens read from a cache
    thought: int = 0                               # output tokens of reasoning, where the API tells
    model: str = ""
    turns: list = field(default_factory=list)      # what to append to go on
    headers: Any = None


@dataclass
class Ask:
    """A request; `turns` are in the SDK's own form, as `say` and `results` make them."""

    model: str
    turns: list
    system: str = ""
    tools: list = field(default_factory=list)
    choice: str = ""                               # "" | none | required | the name of a tool
    parallel: bool = True
    schema: dict = None
    reasons: bool = False
    most: int = 4000
    stop: str = ""
    stream: bool = False
    more: dict = field(default_factory=dict)       # fields in the API's own words


class Surface:
    """An SDK and what its answers came with."""

    def __init__(self):
        self.heads = []

    def hook(self, response):
        """Keeps the head of each answer."""
        self.heads.append(response.headers)

    def ask(self, ask):
        """Asks, and brings the answer into one form."""
        answer = (self.streamed if ask.stream else self.whole)(self.fields(ask))
        answer.headers = self.heads[-1]
        return answer


class OpenAI(Surface):
    """What both APIs of OpenAI share."""

    errors = openai

    def __init__(self, base, key):
        super().__init__()
        http = openai.DefaultHttpxClient(event_hooks={"response": [self.hook]})
        self.sdk = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0, timeout=30, http_client=http)


class Chat(OpenAI):
    """Chat Completions."""

    name = "chat"

    def say(self, text, pictures=()):
        """A user's turn."""
        if not pictures:
            return [{"role": "user", "content": text}]
        urls = [f"data:image/png;base64,{PIXEL}" if it == "data" else PICTURE_URL for it in pictures]
        parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        return [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]

    def results(self, results):
        """Results of tools: (id, text, failed)."""
        return [{"role": "tool", "tool_call_id": id, "content": text} for id, text, _ in results]

    def paper(self, text):
        """A user's turn with a document."""
        file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PAPER}"}
        return [{"role": "user", "content": [{"type": "text", "text": text}, {"type": "file", "file": file}]}]

    def fields(self, ask):
        """The request's fields."""
        fields = {"model": ask.model, "messages": ask.turns, "max_completion_tokens": ask.most}
        if ask.system:
            fields["messages"] = [{"role": "system", "content": ask.system}, *ask.turns]
        if ask.tools:
            fields["tools"] = [{"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.schema}} for tool in ask.tools]
        if ask.choice in ("none", "required"):
            fields["tool_choice"] = ask.choice
        elif ask.choice:
            fields["tool_choice"] = {"type": "function", "function": {"name": ask.choice}}
        if not ask.parallel:
            fields["parallel_tool_calls"] = False
        if ask.schema:
            fields["response_format"] = {"type": "json_schema", "json_schema": {
                "name": "reply", "schema": ask.schema, "strict": True}}
        if ask.reasons:
            fields["reasoning_effort"] = "medium"
        if ask.stop:
            fields["stop"] = [ask.stop]
        return fields | ask.more

    def whole(self, fields):
        """Not streamed."""
        return self.read(self.sdk.chat.completions.create(**fields))

    def streamed(self, fields):
        """Streamed, put together by the SDK and, for what it leaves out, by hand."""
        reasoning, text, refusal, arguments, models, usage = "", "", "", {}, set(), None
        fields = fields | {"stream_options": {"include_usage": True}}
        last = None
        for chunk in self.sdk.chat.completions.create(**fields, stream=True):
            models.add(chunk.model)
            usage = chunk.usage or usage
            for choice in chunk.choices:
                assert choice.index == 0
                assert last is None, "content after finish_reason"
                reasoning += (choice.delta.model_extra or {}).get("reasoning_content") or ""
                text += choice.delta.content or ""
                refusal += choice.delta.refusal or ""
                for call in choice.delta.tool_calls or []:
                    arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
                last = choice.finish_reason or last
        assert last and usage, "no end or no usage"
        assert sorted(arguments) == list(range(len(arguments))), arguments
        ends = {"length": openai.LengthFinishReasonError, "content_filter": openai.ContentFilterFinishReasonError}
        if last in ends:
            raises(ends[last], lambda: self.accumulated(fields))
            stop = {"length": "length", "content_filter": "filter"}[last]
            tokens = (usage.prompt_tokens, usage.completion_tokens)
            return Answer(text=text, reasoning=reasoning, refusal=refusal, stop=stop, tokens=tokens, model=models.pop())
        answer = self.read(self.accumulated(fields))
        assert (answer.text, answer.refusal) == (text, refusal), (answer, text, refusal)
        assert [call[2] for call in answer.calls] == [json.loads(arguments[at]) for at in sorted(arguments)]
        assert models == {answer.model}, models
        answer.reasoning = reasoning
        return answer

    def accumulated(self, fields):
        """What the SDK puts together; it raises for an answer that was cut short."""
        with self.sdk.chat.completions.stream(**fields) as stream:
            for _ in stream:
                pass
            return stream.get_final_completion()

    def read(self, whole):
        """Into one form."""
        [choice] = whole.choices
        message = choice.message
        calls = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []]
        turn = {"role": "assistant", "content": message.content}
        if calls:
            turn["tool_calls"] = [{"id": call.id, "type": "function", "function": {
                "name": call.function.name, "arguments": call.function.arguments}} for call in message.tool_calls]
        thought = whole.usage.completion_tokens_details
        reasoning = (message.model_extra or {}).get("reasoning_content") or ""
        if reasoning:
            turn["reasoning_content"] = reasoning
        assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
        stops = {"stop": "end", "length": "length", "tool_calls": "tools", "content_filter": "filter"}
        return Answer(
            text=message.content or "", calls=calls, reasoning=reasoning, refusal=message.refusal or "",
            stop=stops[choice.finish_reason], tokens=(whole.usage.prompt_tokens, whole.usage.completion_tokens),
            cached=whole.usage.prompt_tokens_details.cached_tokens or 0 if whole.usage.prompt_tokens_details else 0,
            thought=(thought and thought.reasoning_tokens) or 0, model=whole.model, turns=[turn])


class Responses(OpenAI):
    """Responses."""

    name = "responses"

    def say(self, text, pictures=()):
        """A user's turn."""
        urls = [f"data:image/png;base64,{PIXEL}" if it == "data" else PICTURE_URL for it in pictures]
        parts = [{"type": "input_image", "detail": "auto", "image_url": url} for url in urls]
        return [{"role": "user", "content": [{"type": "input_text", "text": text}, *parts]}]

    def results(self, results):
        """Results of tools."""
        return [{"type": "function_call_output", "call_id": id, "output": text} for id, text, _ in results]

    def shown(self, id, text):
        """A result of a tool with a picture."""
        picture = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PIXEL}"}
        return [{"type": "function_call_output", "call_id": id, "output": [{"type": "input_text", "text": text}, picture]}]

    def paper(self, text):
        """A user's turn with a document."""
        file = {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PAPER}"}
        return [{"role": "user", "content": [{"type": "input_text", "text": text}, file]}]

    def fields(self, ask):
        """The request's fields."""
        fields = {"model": ask.model, "input": ask.turns, "max_output_tokens": ask.most}
        if ask.system:
            fields["instructions"] = ask.system
        if ask.tools:
            fields["tools"] = [{"type": "function", "name": tool.name, "description": tool.description,
                                "parameters": tool.schema, "strict": False} for tool in ask.tools]
        if ask.choice in ("none", "required"):
            fields["tool_choice"] = ask.choice
        elif ask.choice:
            fields["tool_choice"] = {"type": "function", "name": ask.choice}
        if not ask.parallel:
            fields["parallel_tool_calls"] = False
        if ask.schema:
            fields["text"] = {"format": {"type": "json_schema", "name": "reply", "schema": ask.schema, "strict": True}}
        if ask.reasons:
            fields["reasoning"] = {"effort": "medium", "summary": "auto"}
            fields["store"] = False
        assert not ask.stop, "Responses has no stop sequences"
        return fields | ask.more

    def whole(self, fields):
        """Not streamed."""
        return self.read(self.sdk.responses.create(**fields))

    def streamed(self, fields):
        """Streamed: each item is begun, goes on and ends, and what they say is what the end says."""
        text, reasoning, refusal, arguments, number, open_items, ended, done = "", "", "", {}, -1, {}, None, []
        for event in self.sdk.responses.create(**fields, stream=True):
            assert ended is None, f"{event.type} after the end"
            assert event.sequence_number == number + 1, event
            number = event.sequence_number
            match event.type:
                case "response.output_item.added":
                    assert event.output_index == len(open_items), event
                    open_items[event.output_index] = event.item.id
                case "response.output_text.delta":
                    assert open_items[event.output_index] == event.item_id
                    text += event.delta
                case "response.reasoning_summary_text.delta":
                    assert open_items[event.output_index] == event.item_id
                    reasoning += event.delta
                case "response.refusal.delta":
                    refusal += event.delta
                case "response.function_call_arguments.delta":
                    assert open_items[event.output_index] == event.item_id
                    arguments[event.output_index] = arguments.get(event.output_index, "") + event.delta
                case "response.completed" | "response.incomplete":
                    ended = event.response
                case "response.output_item.done":
                    assert open_items[event.output_index] == event.item.id
                    done.append(event.item)
                case "response.output_text.done":
                    assert text.endswith(event.text)
                case "response.function_call_arguments.done":
                    assert event.arguments == arguments[event.output_index]
        assert ended is not None, "no end"
        assert len(ended.output) == len(open_items) == len(done), (ended.output, open_items)
        assert [item.model_dump() for item in done] == [item.model_dump() for item in ended.output], (done, ended.output)
        if ended.status == "completed":
            with self.sdk.responses.stream(**fields) as stream:
                for _ in stream:
                    pass
                ended = stream.get_final_response()
        answer = self.read(ended)
        assert answer.text == text, (answer.text, text)
        assert answer.reasoning == reasoning, (answer.reasoning, reasoning)
        assert answer.refusal == refusal
        assert [call[2] for call in answer.calls] == [json.loads(arguments[at]) for at in sorted(arguments)]
        return answer

    def read(self, whole):
        """Into one form."""
        calls = [(item.call_id, item.name, json.loads(item.arguments)) for item in whole.output if item.type == "function_call"]
        reasoning = "".join(
            part.text for item in whole.output if item.type == "reasoning" for part in item.summary or [])
        refusal = "".join(part.refusal for item in whole.output if item.type == "message"
                          for part in item.content if part.type == "refusal")
        reason = whole.incomplete_details and whole.incomplete_details.reason
        stop = {"max_output_tokens": "length", "content_filter": "filter", None: "tools" if calls else "end"}[reason]
        assert whole.status == ("incomplete" if reason else "completed"), whole.status
        usage = whole.usage
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens
        turns = [item.model_dump(exclude_none=True) for item in whole.output]
        return Answer(
            text=whole.output_text, calls=calls, reasoning=reasoning, refusal=refusal, stop=stop,
            tokens=(usage.input_tokens, usage.output_tokens), cached=usage.input_tokens_details.cached_tokens,
            thought=usage.output_tokens_details.reasoning_tokens,
            model=whole.model, turns=turns)


class Messages(Surface):
    """Messages."""

    name = "messages"
    errors = anthropic

    def __init__(self, base, key):
        super().__init__()
        http = anthropic.DefaultHttpxClient(event_hooks={"response": [self.hook]})
        self.sdk = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0, timeout=30, http_client=http)

    def say(self, text, pictures=()):
        """A user's turn."""
        sources = [{"type": "base64", "media_type": "image/png", "data": PIXEL} if it == "data"
                   else {"type": "url", "url": PICTURE_URL} for it in pictures]
        parts = [{"type": "image", "source": source} for source in sources]
        return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]

    def results(self, results):
        """Results of tools."""
        return [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": text, **({"is_error": True} if failed else {})}
            for id, text, failed in results]}]

    def shown(self, id, text):
        """A result of a tool with a picture."""
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        return [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": [
            {"type": "text", "text": text}, {"type": "image", "source": source}]}]}]

    def paper(self, text):
        """A user's turn with a document."""
        source = {"type": "base64", "media_type": "application/pdf", "data": PAPER}
        document = {"type": "document", "title": "a.pdf", "source": source}
        return [{"role": "user", "content": [document, {"type": "text", "text": text}]}]

    def fields(self, ask):
        """The request's fields."""
        fields = {"model": ask.model, "messages": ask.turns, "max_tokens": ask.most}
        if ask.system:
            fields["system"] = ask.system
        if ask.tools:
            fields["tools"] = [{"name": tool.name, "description": tool.description, "input_schema": tool.schema}
                               for tool in ask.tools]
        kinds = {"none": {"type": "none"}, "required": {"type": "any"}}
        if ask.choice:
            fields["tool_choice"] = kinds.get(ask.choice) or {"type": "tool", "name": ask.choice}
        if not ask.parallel:
            fields["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        if ask.schema:
            fields["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
        if ask.reasons:
            fields["thinking"] = {"type": "enabled", "budget_tokens": 2000}
        if ask.stop:
            fields["stop_sequences"] = [ask.stop]
        return fields | ask.more

    def whole(self, fields):
        """Not streamed."""
        return self.read(self.sdk.messages.create(**fields))

    def streamed(self, fields):
        """Streamed: one start, blocks one after another, one end; the SDK puts them together."""
        at, open_block, stops, kinds = -1, False, 0, []
        for event in self.sdk.messages.create(**fields, stream=True):
            kinds.append(event.type)
            match event.type:
                case "content_block_start":
                    assert not open_block and event.index == at + 1, event
                    at, open_block = event.index, True
                case "content_block_delta":
                    assert open_block and event.index == at, event
                case "content_block_stop":
                    assert open_block and event.index == at, event
                    open_block = False
                case "message_delta":
                    stops += 1
        assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds
        assert kinds.count("message_start") == kinds.count("message_stop") == stops == 1, kinds
        with self.sdk.messages.stream(**fields) as stream:
            text = "".join(event.text for event in stream if event.type == "text")
            answer = self.read(stream.get_final_message())
        assert answer.text == text, (answer.text, text)
        return answer

    def read(self, whole):
        """Into one form."""
        of = lambda kind: [block for block in whole.content if block.type == kind]
        stops = {"end_turn": "end", "stop_sequence": "end", "max_tokens": "length", "tool_use": "tools", "refusal": "filter"}
        usage = whole.usage
        everything = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        return Answer(
            text="".join(block.text for block in of("text")),
            calls=[(block.id, block.name, block.input) for block in of("tool_use")],
            reasoning="".join(block.thinking for block in of("thinking")), stop=stops[whole.stop_reason],
            tokens=(everything, usage.output_tokens), cached=usage.cache_read_input_tokens or 0, model=whole.model,
            turns=[{"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in whole.content]}])


class Provider:
    """A simulated provider, as its control endpoint shows it."""

    def __init__(self, address):
        self.address = address

    def seen(self):
        """The last request that came: its path and its body."""
        last = self.journal()["last"][-1]
        return last["target"], json.loads(last["body"])

    def headers(self):
        """The headers of the last request."""
        return dict(self.journal()["last"][-1]["headers"])

    def requests(self):
        """How many requests came."""
        return self.journal()["requests"]

    def journal(self):
        """What was asked of it."""
        with urllib.request.urlopen(f"http://{self.address}/_simulator") as answer:
            return json.load(answer)["journal"]


def raises(kind, call):
    """`call` must raise `kind` itself, nothing else."""
    try:
        call()
    except Exception as raised:  # whatever it is
        assert type(raised) is kind, f"{type(raised).__name__} in the place of {kind.__name__}: {raised}"
        return raised
    raise AssertionError(f"{kind.__name__} was not raised")


def losses(answer):
    """What `x-pointsman-loss` lists."""
    listed = answer.headers.get("x-pointsman-loss", "")
    return [name.strip() for name in listed.split(",") if name.strip()]
