"""A coding agent's session, as such agents hold it with the Anthropic SDK, with models that speak Chat Completions only.

agent_session.py ARGUMENTS: a JSON object with `base` (the program) and `chat` (the simulated provider behind it). Every turn
is streamed: a system prompt in blocks with cache markers, seven tools, thinking, parallel calls, results with text, a picture
and an error, reminders among them. What the provider received is looked at turn by turn; what was lost on the way must be
what `x-pointsman-loss` lists, and nothing else may be listed.
"""

import copy
import json
import sys

import anthropic

from surface import PIXEL, Provider

GIVEN = json.loads(sys.argv[1])
CHAT = Provider(GIVEN["chat"])
MODEL = "router:agents"
HEADS = []
SDK = anthropic.Anthropic(
    base_url=GIVEN["base"], api_key="none-is-needed", max_retries=0, timeout=30,
    http_client=anthropic.DefaultHttpxClient(event_hooks={"response": [lambda answer: HEADS.append(answer.headers)]}))
MARK = {"cache_control": {"type": "ephemeral"}}


def tool(name, description, required, **properties):
    """A tool as agents define theirs: with a closed schema."""
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": properties,
              "required": required, "additionalProperties": False}
    return {"name": name, "description": description, "input_schema": schema}


TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
TOOLS = [
    tool("Bash", "Runs a command.", ["command"], command=TEXT, timeout=NUMBER, run_in_background=FLAG),
    tool("Read", "Reads a file.\nPictures are shown.", ["file_path"], file_path=TEXT, offset=NUMBER, limit=NUMBER),
    tool("Edit", "Replaces text.", ["file_path", "old_string", "new_string"], file_path=TEXT, old_string=TEXT,
         new_string=TEXT, replace_all={"type": "boolean", "default": False}),
    tool("Grep", "Searches.", ["pattern"], pattern=TEXT, output_mode={"type": "string", "enum": ["content", "count"]},
         **{"-n": FLAG}),
    tool("Glob", "Finds files.", ["pattern"], pattern=TEXT, path=TEXT),
    tool("TodoWrite", "Keeps the plan.", ["todos"], todos={"type": "array", "minItems": 1, "items": {
        "type": "object", "required": ["content", "status"], "additionalProperties": False, "properties": {
            "content": {"type": "string", "minLength": 1},
            "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]}}}}),
    {**tool("WebFetch", "Gets a page.", ["url"], url={"type": "string", "format": "uri"}, prompt=TEXT), **MARK},
]
INPUTS = {
    "Bash": {"command": "simulated", "timeout": 1, "run_in_background": True},
    "Read": {"file_path": "simulated", "offset": 1, "limit": 1},
    "Edit": {"file_path": "simulated", "old_string": "simulated", "new_string": "simulated", "replace_all": True},
    "Grep": {"pattern": "simulated", "output_mode": "content", "-n": True},
    "TodoWrite": {"todos": [{"content": "simulated", "status": "pending"}]},
}
SYSTEM = [
    {"type": "text", "text": "You are a coding agent.", **MARK},
    {"type": "text", "text": "# Manners\n\nBe brief.\n" + "Say what you did, and why. " * 200,
     "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    {"type": "text", "text": "<env>\nWorking directory: /home/user/points\nPlatform: linux\n</env>"},
]
REMINDER = "<system-reminder>\nThe plan is empty.\n</system-reminder>"
USER_ID = "user_" + "0123456789abcdef" * 4 + "_account__session_11111111-2222-3333-4444-555555555555"


class Session:
    """The conversation, and what an agent does with each answer."""

    def __init__(self):
        self.messages = []

    def ask(self, expected_losses, **more):
        """One streamed turn; the SDK puts it together, and what it put together is what the events said."""
        blocks, names = {}, []
        marked = self.marked()
        with SDK.beta.messages.stream(
                model=MODEL, max_tokens=8000, system=SYSTEM, tools=TOOLS, messages=marked,
                thinking={"type": "enabled", "budget_tokens": 4000}, metadata={"user_id": USER_ID},
                betas=["interleaved-thinking-2025-05-14"], **more) as stream:
            for event in stream:
                names.append(event.type)
                if event.type == "content_block_start":
                    assert event.index == len(blocks), event
                    blocks[event.index] = (event.content_block.type, "")
                if event.type == "content_block_delta":
                    kind, so_far = blocks[event.index]
                    piece = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json",
                             "signature_delta": None}[event.delta.type]
                    blocks[event.index] = (kind, so_far + (getattr(event.delta, piece) if piece else ""))
            message = stream.get_final_message()
        assert names.count("message_start") == names.count("message_stop") == names.count("message_delta") == 1, names
        assert names[-1] == "message_stop"
        for index, block in enumerate(message.content):
            kind, said = blocks[index]
            assert kind == block.type
            if kind == "tool_use":
                assert json.loads(said or "{}") == block.input, (said, block.input)
            else:
                assert said == getattr(block, kind), (said, block)
        assert message.model == "glm" and message.role == "assistant"
        assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0
        listed = HEADS[-1].get("x-pointsman-loss", "")
        assert sorted(listed.replace(" ", "").split(",")) == sorted(expected_losses), (listed, expected_losses)
        self.messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]})
        self.understood(marked)
        return message

    def marked(self):
        """The messages, the last block of the last one with a cache marker, as agents send them."""
        messages = copy.deepcopy(self.messages)
        last = messages[-1]["content"]
        last[-1].update(MARK)
        return messages

    def user(self, *blocks):
        """A user's turn; words are text blocks."""
        as_block = lambda block: {"type": "text", "text": block} if isinstance(block, str) else block
        self.messages.append({"role": "user", "content": [as_block(block) for block in blocks]})

    def understood(self, sent):
        """What the provider received says all that was said, in its own form and in the same order."""
        path, body = CHAT.seen()
        assert path == "/v1/chat/completions" and body["model"] == "upstream-glm" and body["stream"] is True
        assert set(body) <= {"model", "messages", "stream", "stream_options", "tools", "tool_choice", "reasoning_effort",
                             "max_tokens", "max_completion_tokens", "user", "prompt_cache_key", "prompt_cache_retention",
                             "safety_identifier", "parallel_tool_calls"}, set(body)
        assert body["stream_options"] == {"include_usage": True}
        assert body["reasoning_effort"] == "medium", body["reasoning_effort"]
        assert 8000 in (body.get("max_tokens"), body.get("max_completion_tokens")), body
        raw = json.dumps(body)
        for foreign in ("cache_control", "input_schema", "tool_use", "signature", "budget_tokens", "is_error"):
            assert foreign not in raw, foreign
        self.same_tools(body["tools"])
        theirs, ours = joined(flattened(body["messages"])), joined(expected(sent))
        assert theirs == ours, difference(theirs, ours)
        headers = CHAT.headers()
        assert not [name for name in headers if name.startswith(("anthropic", "x-stainless", "x-api-key"))], headers
        assert headers["user-agent"].startswith("pointsman/"), headers

    @staticmethod
    def same_tools(tools):
        """Each tool arrived with its whole schema."""
        assert len(tools) == len(TOOLS)
        for theirs, ours in zip(tools, TOOLS):
            function = theirs["function"]
            assert theirs["type"] == "function" and function["name"] == ours["name"]
            assert function["description"] == ours["description"], function
            assert function["parameters"] == ours["input_schema"], function["parameters"]


def flattened(messages):
    """What chat messages say: (role, what, detail) in order."""
    said = []
    for message in messages:
        role = {"developer": "system"}.get(message["role"], message["role"])
        content = message.get("content") or []
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if role == "tool":
                said.append((role, message["tool_call_id"], part["text"]))
            elif part["type"] == "text":
                said.append((role, "text", part["text"]))
            else:
                said.append((role, part["type"], part["image_url"]["url"]))
        for call in message.get("tool_calls") or []:
            function = call["function"]
            said.append((role, call["id"], function["name"], json.dumps(json.loads(function["arguments"]), sort_keys=True)))
    return said


def joined(said):
    """Texts that follow each other as paragraphs of one: where chat takes one text, blocks become paragraphs."""
    whole = []
    for it in said:
        if it[1] == "text" and whole and whole[-1][:2] == it[:2]:
            whole[-1] = (*it[:2], f"{whole[-1][2]}\n\n{it[2]}")
        else:
            whole.append(it)
    return whole


def expected(messages):
    """The same of the messages that the agent sent: nothing may be missing but earlier thinking, and nothing may be there
    besides but whose picture it is."""
    said = [("system", "text", block["text"]) for block in SYSTEM]
    for message in messages:
        role, pictures = message["role"], []
        for block in message["content"]:
            match block["type"]:
                case "text":
                    said.append((role, "text", block["text"]))
                case "image":
                    said.append((role, "image_url", picture(block)))
                case "tool_use":
                    said.append((role, block["id"], block["name"], json.dumps(block["input"], sort_keys=True)))
                case "tool_result":
                    texts, seen = result(block)
                    said.extend(("tool", block["tool_use_id"], text) for text in texts)
                    whose = ("user", "text", f"From the result of tool call {block['tool_use_id']}:")
                    pictures += [whose, *seen] if seen else []
        if pictures:
            # Chat has no place for a picture in a result: it follows in the user's message, before the user's words.
            at = next((at for at in range(len(said)) if said[at:] and all(it[0] == "user" for it in said[at:])), len(said))
            said[at:at] = pictures
    return said


def result(block):
    """Texts and pictures of a tool's result."""
    content = block.get("content", "")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [part["text"] for part in parts if part["type"] == "text"]
    if block.get("is_error"):
        texts = [f"Error: {text}" for text in texts]
    return texts, [("user", "image_url", picture(part)) for part in parts if part["type"] == "image"]


def picture(block):
    """As chat's data URL."""
    return f"data:{block['source']['media_type']};base64,{block['source']['data']}"


def difference(theirs, ours):
    """The first place where two lists differ."""
    for at, (one, other) in enumerate(zip(theirs, ours)):
        if one != other:
            return at, one, other
    return len(theirs), len(ours), theirs[len(ours):], ours[len(theirs):]


def calls(message, *names):
    """The calls of an answer, which must be these."""
    uses = [block for block in message.content if block.type == "tool_use"]
    assert [use.name for use in uses] == list(names), (message, names)
    assert all(use.input == INPUTS[use.name] for use in uses), uses
    assert len({use.id for use in uses}) == len(uses)
    assert message.stop_reason == ("tool_use" if uses else "end_turn"), message.stop_reason
    assert [block.type for block in message.content][0] == "thinking", message
    assert "I pretend to think" in message.content[0].thinking
    return uses


def given(use, content, **more):
    """A tool's result."""
    return {"type": "tool_result", "tool_use_id": use.id, "content": content, **more}


PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
# What chat completions has no place for. The thinking of earlier turns is lost from the second turn on.
FIRST, LATER = ["cache_control"], ["cache_control", "thinking"]


def main():
    """The session."""
    session = Session()
    session.user(REMINDER, "The points stick in winter. Plan with TodoWrite.")
    [plan] = calls(session.ask(FIRST), "TodoWrite")

    # A loop of single calls: results alone, the next call named in the result.
    session.user(given(plan, "Plan kept. next call: Grep"))
    [search] = calls(session.ask(LATER), "Grep")
    session.user(given(search, [{"type": "text", "text": "src/points.rs:7: fn throw()"}]), "Now Read it, and Read the picture, and Bash the tests.")

    # Parallel calls, words before them; results out of order, one with a picture, one that failed, a reminder after them.
    answer = session.ask(LATER)
    source, shot, tests = calls(answer, "Bash", "Read", "Read")[1:] + calls(answer, "Bash", "Read", "Read")[:1]
    assert answer.content[1].type == "text" and "3 calls" in answer.content[1].text, answer
    session.user(
        given(tests, [{"type": "text", "text": "exit code 101: \u201cassertion failed\u201d \U0001f682"}], is_error=True),
        given(source, "     1\tfn throw() {}\n     2\t\u2026"),
        given(shot, [{"type": "text", "text": "The frog of the switch:"}, PICTURE]),
        REMINDER, "Edit the file.")
    answer = session.ask(LATER)
    [edit] = calls(answer, "Edit")

    # A result without any content, and one that is empty and failed.
    session.user(given(edit, "The file was edited. next call: Bash"))
    [again] = calls(session.ask(LATER), "Bash")
    session.user(given(again, "ok. 12 passed"))
    answer = session.ask(LATER)
    calls(answer)
    assert "ok. 12 passed" in answer.content[-1].text and "Images: 1." in answer.content[-1].text, answer

    # A new question, with a picture of the user's own.
    session.user(PICTURE, "Is this the frog?")
    answer = session.ask(LATER)
    calls(answer)
    assert "Images: 2." in answer.content[-1].text, answer

    # A prompt that was seen before is read from a cache, and counted apart as this API does.
    session.user("Thank you.")
    answer = session.ask(LATER)
    usage = answer.usage
    assert usage.cache_read_input_tokens >= 1024 and usage.input_tokens > 0, usage

    # Other settings that agents use: no thinking for a small side question, one call at a time, sampling, stop words.
    message = SDK.messages.create(
        model=MODEL, max_tokens=512, extra_body={"temperature": 0.7, "top_k": 40}, stop_sequences=["No language"], system="Name the topic.",
        tools=TOOLS, tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        messages=[{"role": "user", "content": "Grep and Glob, one at a time."}])
    assert [block.name for block in message.content if block.type == "tool_use"] == ["Grep"], message
    body = CHAT.seen()[1]
    assert body["parallel_tool_calls"] is False and body["temperature"] == 0.7 and body["stop"] == ["No language"], body
    assert sorted(HEADS[-1]["x-pointsman-loss"].replace(" ", "").split(",")) == ["cache_control", "top_k"], HEADS[-1]
    count = SDK.messages.count_tokens(model=MODEL, system=SYSTEM, tools=TOOLS, messages=session.messages)
    assert count.input_tokens > 1500, count
    print(f"agent session: ok, {len(session.messages)} messages, lost: {', '.join(LATER)}")


main()
