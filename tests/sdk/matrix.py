"""The same scenarios with every SDK in front of every upstream API, whole and streamed: matrix.py ARGUMENTS.

ARGUMENTS is a JSON object: `base` and `key` of the program, `limited` (a key that may use `glm` only), `own` (the base URL
of a program whose callers bring their own credential), and the addresses of the simulated providers `openai`, `chat`,
`anthropic`. Models and faults are set up by tests/it/matrix.rs.
"""

import json
import sys
import traceback

import anthropic
import openai

from surface import PAPER, PICTURE_URL, PIXEL, Ask, Chat, Messages, Provider, Responses, Tool, losses, raises

GIVEN = json.loads(sys.argv[1])
BASE, KEY = GIVEN["base"], GIVEN["key"]
PROVIDERS = {model: Provider(GIVEN[name]) for model, name in
             (("gpt", "openai"), ("glm", "chat"), ("claude", "anthropic"))}
SURFACES = [kind(BASE, KEY) for kind in (Chat, Responses, Messages)]
WEATHER = Tool("weather", "The weather of a city.", {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]})
CLOCK = Tool("clock", "The time of a zone.", {"type": "object", "properties": {"zone": {"type": "string"}}})
REPLY = {"type": "object", "additionalProperties": False, "required": ["verdict", "score", "tags"], "properties": {
    "verdict": {"type": "string", "enum": ["good", "bad"]}, "score": {"type": "integer"},
    "tags": {"type": "array", "items": {"type": "string"}}}}
CALL = {"weather": {"city": "simulated", "days": 1}, "clock": {"zone": "simulated"}}


def native(surface, model):
    """Whether both sides speak the same API, so that the bytes are kept."""
    return model == {"chat": None, "responses": "gpt", "messages": "claude"}[surface.name] or (
        surface.name == "chat" and model != "claude")


def upstream(surface, model):
    """The last request of the provider, after its path was looked at."""
    path, body = PROVIDERS[model].seen()
    expected = "/v1/messages" if model == "claude" else "/v1/chat/completions"
    if model == "gpt" and surface.name == "responses":
        expected = "/v1/responses"
    assert path == expected, path
    assert body["model"] == f"upstream-{model}", body["model"]
    return body


def text(surface, ask):
    """Words in, words out; several turns and a system prompt arrive."""
    ask.turns = surface.say("What is a railway point?")
    ask.system = "You are terse."
    first = surface.ask(ask)
    assert first.text.startswith("[simulated upstream-") and "railway point" in first.text, first
    assert first.stop == "end" and min(first.tokens) > 0 and first.model == ask.model, first
    assert losses(first) == [], losses(first)
    assert first.headers["x-pointsman-model"] == ask.model
    assert "You are terse." in json.dumps(upstream(surface, ask.model))
    ask.turns = [*ask.turns, *first.turns, *surface.say("And a switch?")]
    second = surface.ask(ask)
    assert "And a switch?" in second.text and losses(second) == [], second
    sent = json.dumps(upstream(surface, ask.model))
    assert sent.index("railway point?") < sent.index("No language model") < sent.index("And a switch?"), sent


def length(surface, ask):
    """An answer that reaches the limit says so."""
    ask.turns, ask.most = surface.say("Talk."), 16
    answer = surface.ask(ask)
    assert answer.stop == "length" and answer.tokens[1] == 16 and answer.text, answer


def stop(surface, ask):
    """A stop sequence ends the answer; Responses has none."""
    if surface.name == "responses":
        return
    ask.turns, ask.stop = surface.say("Talk."), "No language"
    answer = surface.ask(ask)
    assert answer.stop == "end" and "No language" not in answer.text and "Talk." in answer.text, answer


def tools(surface, ask):
    """A call, its result, and the answer to it."""
    ask.turns, ask.tools = surface.say("Please use weather for Paris."), [WEATHER, CLOCK]
    called = surface.ask(ask)
    assert called.stop == "tools" and losses(called) == [], called
    [(identifier, name, arguments)] = called.calls
    assert identifier and (name, arguments) == ("weather", CALL["weather"]), called.calls
    assert len(upstream(surface, ask.model)["tools"]) == 2
    ask.turns = [*ask.turns, *called.turns, *surface.results([(identifier, "It rains.", False)])]
    after = surface.ask(ask)
    assert "The tool gave: \u201cIt rains.\u201d" in after.text and after.stop == "end" and not after.calls, after


def parallel(surface, ask):
    """Several calls at once, two of them of one tool; all results go back, one of them a failure."""
    ask.turns, ask.tools = surface.say("Use weather here, weather there, and clock."), [WEATHER, CLOCK]
    called = surface.ask(ask)
    assert [name for _, name, _ in called.calls] == ["weather", "weather", "clock"], called.calls
    assert all(arguments == CALL[name] for _, name, arguments in called.calls), called.calls
    identifiers = [identifier for identifier, _, _ in called.calls]
    assert len(set(identifiers)) == 3 and "3 calls" in called.text and called.stop == "tools", called
    results = [(identifiers[0], "sun", False), (identifiers[1], "rain", False), (identifiers[2], "no such zone", True)]
    ask.turns = [*ask.turns, *called.turns, *surface.results(results)]
    after = surface.ask(ask)
    assert "no such zone" in after.text, after
    sent = json.dumps(upstream(surface, ask.model))
    assert all(word in sent for word in ("sun", "rain", "no such zone")), sent
    ask.turns, ask.parallel = surface.say("Use weather here, weather there, and clock."), False
    assert len(surface.ask(ask).calls) == 1


def choices(surface, ask):
    """`tool_choice`: none, any, one by name."""
    ask.tools = [WEATHER, CLOCK]
    for choice, expected in (("none", []), ("required", ["weather"]), ("clock", ["clock"])):
        ask.turns, ask.choice = surface.say("Hello."), choice
        answer = surface.ask(ask)
        assert [name for _, name, _ in answer.calls] == expected, (choice, answer)


def images(surface, ask):
    """Pictures in the message itself and by URL."""
    ask.turns = surface.say("What is in these?", ("data", "url"))
    answer = surface.ask(ask)
    assert "Images: 2." in answer.text and losses(answer) == [], answer
    sent = json.dumps(upstream(surface, ask.model))
    assert PIXEL in sent and PICTURE_URL in sent, sent


def papers(surface, ask):
    """A document, and a picture in a tool's result where the SDK has a place for one."""
    ask.turns = surface.paper("What does it say?")
    answer = surface.ask(ask)
    assert "Files: 1." in answer.text and losses(answer) == [], answer
    assert PAPER in json.dumps(upstream(surface, ask.model))
    if surface.name == "chat":
        return
    ask.tools = [CLOCK]
    ask.turns = surface.say("Use clock.")
    called = surface.ask(ask)
    ask.turns = [*ask.turns, *called.turns, *surface.shown(called.calls[0][0], "noon, see the dial")]
    after = surface.ask(ask)
    assert "Images: 1." in after.text and losses(after) == [], (after, losses(after))
    sent = json.dumps(upstream(surface, ask.model))
    assert PIXEL in sent and "see the dial" in sent, sent


def cached(surface, ask):
    """Cached tokens are counted, and all input tokens with them, whichever way the API counts."""
    ask.system = f"{surface.name} {ask.model} {ask.stream} " + "Be brief. " * 1200
    ask.turns = surface.say("Hello.")
    first, second = surface.ask(ask), surface.ask(ask)
    assert second.cached >= 1024 and second.tokens[0] == first.tokens[0] > second.cached, (first, second)


def structured(surface, ask):
    """An answer in the shape of a schema."""
    ask.turns, ask.schema = surface.say("Judge this."), REPLY
    answer = surface.ask(ask)
    assert json.loads(answer.text) == {"verdict": "good", "score": 1, "tags": ["simulated"]}, answer
    assert answer.stop == "end" and not answer.calls, answer
    assert not [name for name in losses(answer) if name != "strict"], losses(answer)


def reasoning(surface, ask):
    """Thinking before the words, and again in the next turn, without what another provider has signed."""
    ask.turns, ask.reasons = surface.say("Think about this."), True
    first = surface.ask(ask)
    assert "I pretend to think" in first.reasoning, first
    assert "pretend" not in first.text and "Think about this." in first.text, first
    expected = ["reasoning.summary"] if surface.name == "responses" and ask.model == "glm" else []
    assert losses(first) == expected, losses(first)
    ask.turns = [*ask.turns, *first.turns, *surface.say("Think again.")]
    second = surface.ask(ask)
    assert "I pretend to think" in second.reasoning and "Think again." in second.text, second
    lost = {"chat": "reasoning_content", "responses": "reasoning", "messages": "thinking"}[surface.name]
    if not native(surface, ask.model):
        assert lost in losses(second), losses(second)
    sent = upstream(surface, ask.model)
    if ask.model == "claude":
        assert sent["thinking"] == {"type": "enabled", "budget_tokens": 2000}, sent
    elif (surface.name, ask.model) == ("responses", "gpt"):
        assert sent["reasoning"] == {"effort": "medium", "summary": "auto"}, sent
    else:
        assert sent["reasoning_effort"] == "medium", sent


def reasoned_call(surface, ask):
    """Thinking, then a call, then its result."""
    ask.turns, ask.reasons, ask.tools = surface.say("Use clock, please."), True, [CLOCK]
    called = surface.ask(ask)
    assert "I pretend to think" in called.reasoning and called.stop == "tools", called
    [(identifier, name, _)] = called.calls
    assert name == "clock"
    ask.turns = [*ask.turns, *called.turns, *surface.results([(identifier, "noon", False)])]
    after = surface.ask(ask)
    assert "noon" in after.text, after
    if ask.model == "claude" and surface.name != "messages":
        assert "thinking" not in upstream(surface, ask.model)
        assert losses(after), "reasoning was dropped in silence"


def filtered(surface, ask):
    """A filter's stop is one in every API."""
    ask.turns = surface.say("Something bad.")
    ask.model = faulty(surface, ask, "filter")
    answer = surface.ask(ask)
    assert answer.stop == "filter", answer


def refused(surface, ask):
    """A refusal is one in the words of every API."""
    ask.turns = surface.say("Something worse.")
    model, ask.model = ask.model, faulty(surface, ask, "refusal")
    answer = surface.ask(ask)
    said = answer.refusal or answer.text
    assert "I must refuse this." in said, answer
    if model != "claude" and surface.name != "messages":
        assert answer.refusal and not answer.text, answer
    if model == "claude":
        assert answer.stop == "filter", answer


def faulty(surface, ask, kind):
    """The model that has this fault for this SDK alone, so that no breaker joins two tests."""
    mode = "stream" if ask.stream else "whole"
    return f"{ask.model}-{kind}-{surface.name}-{mode}"


def fails(surface, ask, kind, expected, status):
    """Asks the faulty model; the SDK's own class must come of it."""
    ask = Ask(faulty(surface, ask, kind), surface.say("Hello."), stream=ask.stream)
    raised = raises(expected, lambda: surface.ask(ask))
    assert raised.status_code == status, (kind, raised)
    return raised


def errors(surface, ask):
    """Every fault of a provider raises the SDK's own class."""
    of = surface.errors
    for status, kind in ((400, of.BadRequestError), (413, too_large(of)), (422, of.UnprocessableEntityError)):
        raised = fails(surface, ask, f"s{status}", kind, status)
        assert "simulated mistake" in str(raised), raised
        if of is anthropic:
            types = {400: "invalid_request_error", 413: "request_too_large", 422: "invalid_request_error"}
            assert raised.body["error"]["type"] == types[status], raised.body
        else:
            assert raised.body["message"] == "simulated mistake", raised.body
    for status in (401, 403, 404, 500, 503, 529):
        raised = fails(surface, ask, f"s{status}", of.InternalServerError, 502)
        said = json.dumps(raised.body)
        assert "sk-" not in said and "simulated mistake" not in said, said
        if of is openai:
            assert raised.code == ("upstream_auth" if status in (401, 403) else "upstream_error"), (status, raised.code)
        else:
            assert raised.body["error"]["type"] == "api_error", raised.body
    raised = fails(surface, ask, "s429", unavailable(of), 503)
    assert 1 <= int(raised.response.headers["retry-after"]) <= 7, raised.response.headers
    if of is openai:
        assert raised.code == "no_healthy_target"
    else:
        assert raised.body["error"]["type"] == "overloaded_error", raised.body


def too_large(of):
    """The class for 413: neither SDK has had one from the start."""
    return getattr(of, "RequestTooLargeError", of.APIStatusError)


def unavailable(of):
    """The class for 503."""
    return getattr(of, "ServiceUnavailableError", of.InternalServerError)


def breaks(surface, ask):
    """A stream that breaks, or says that it failed, raises after what came; an answer that is not streamed is 502."""
    for kind in ("cut", "error"):
        if not ask.stream:
            if kind == "cut":
                fails(surface, ask, kind, surface.errors.InternalServerError, 502)
            continue
        seen = []

        def read(kind=kind, seen=seen):
            fields = surface.fields(Ask(faulty(surface, ask, kind), surface.say("Hello.")))
            create = {"chat": lambda: surface.sdk.chat.completions.create(**fields, stream=True),
                      "responses": lambda: surface.sdk.responses.create(**fields, stream=True),
                      "messages": lambda: surface.sdk.messages.create(**fields, stream=True)}[surface.name]
            for event in create():
                seen.append(event)
                if getattr(event, "type", "") in ("response.failed", "error"):
                    raise Failed(event)

        try:
            read()
        except Failed as failed:
            # Responses says it with an event of its own.
            assert surface.name == "responses", failed
        except surface.errors.APIError as raised:
            assert str(raised), raised
        else:
            raise AssertionError(f"{kind}: the stream looks whole: {seen[-1]}")
        kinds = {getattr(event, "type", "") for event in seen}
        assert seen and not kinds & {"message_stop", "response.completed", "response.incomplete"}, kinds


class Failed(Exception):
    """A stream said that it failed."""


SCENARIOS = [text, length, stop, tools, parallel, choices, images, papers, cached, structured, reasoning, reasoned_call, filtered,
             refused, errors, breaks]


def own_mistakes():
    """What the program itself refuses."""
    for surface in SURFACES:
        of = surface.errors
        ask = lambda model, **more: surface.ask(Ask(model, surface.say("Hello."), **more))
        gone = raises(of.NotFoundError, lambda: ask("gone"))
        assert "gone" in str(gone)
        raises(of.NotFoundError, lambda: ask("router:gone"))
        raises(of.NotFoundError, lambda: ask("gone", stream=True))
        raises(too_large(of), lambda: surface.ask(Ask("gpt", surface.say("x" * (2 << 20)))))
        raises(of.BadRequestError, lambda: surface.ask(Ask("gpt", 7)))
        picture = raises(of.BadRequestError, lambda: surface.ask(Ask("gpt-s403", surface.say("See.", ("data",)))))
        assert "modality: needs image" in str(picture), picture
        for key, kind in (("wrong", of.AuthenticationError), (GIVEN["limited"], of.PermissionDeniedError)):
            stranger = type(surface)(BASE, key)
            for stream in (False, True):
                raises(kind, lambda: stranger.ask(Ask("gpt", stranger.say("Hello."), stream=stream)))
        assert type(surface)(BASE, GIVEN["limited"]).ask(Ask("glm", surface.say("Hello."))).text
        if of is openai:
            assert gone.code == "model_not_found", gone.body
        else:
            assert gone.body["error"]["type"] == "not_found_error", gone.body


def own_credentials():
    """Where callers bring their own credential, the provider's 401, 403 and 429 are theirs."""
    for kind, key in ((Chat, "openai"), (Responses, "openai"), (Messages, "anthropic")):
        model = {"openai": "gpt", "anthropic": "claude"}[key]
        surface = kind(GIVEN["own"], GIVEN[f"{key}_key"])
        of = surface.errors
        for stream in (False, True):
            ask = lambda name: surface.ask(Ask(name, surface.say("Hello."), stream=stream))
            assert ask(model).text
            raises(of.PermissionDeniedError, lambda: ask(f"{model}-s403"))
            limited = raises(of.RateLimitError, lambda: ask(f"{model}-s429"))
            assert limited.response.headers["retry-after"] == "7", limited.response.headers
            stranger = kind(GIVEN["own"], "wrong")
            raises(of.AuthenticationError, lambda: stranger.ask(Ask(model, stranger.say("Hello."), stream=stream)))


def lists():
    """Models and routers, in the list of each SDK; what is not there is not found."""
    sdk, other = SURFACES[0].sdk, SURFACES[2].sdk
    for ids in ([model.id for model in sdk.models.list()], [model.id for model in other.models.list(limit=1000)]):
        assert {"gpt", "glm", "claude", "router:all"} <= set(ids), ids
    assert sdk.models.retrieve("gpt").id == "gpt" and other.models.retrieve("gpt").id == "gpt"
    assert sdk.models.retrieve("router:all").id == "router:all"
    raises(openai.NotFoundError, lambda: sdk.models.retrieve("gone"))
    raises(anthropic.NotFoundError, lambda: other.models.retrieve("gone"))
    limited = Chat(BASE, GIVEN["limited"]).sdk
    assert "gpt" not in [model.id for model in limited.models.list()]


def counts():
    """`count_tokens`: the provider's own number where it has one, else an estimate that says so."""
    count = SURFACES[2].sdk.messages.with_raw_response.count_tokens
    fields = {"messages": [{"role": "user", "content": "word " * 400}], "system": "You count."}
    tools = [{"name": "clock", "description": "The time.", "input_schema": CLOCK.schema}]
    numbers = {}
    for model in ("claude", "gpt", "glm", "router:all"):
        raw = count(model=model, tools=tools, **fields)
        assert (raw.headers.get("x-pointsman-estimated") == "true") == (model != "claude"), model
        numbers[model] = raw.parse().input_tokens
        assert 300 < numbers[model] < 1200, numbers
    assert PROVIDERS["claude"].seen()[0] == "/v1/messages/count_tokens"
    raises(anthropic.NotFoundError, lambda: count(model="gone", **fields))


def embeddings():
    """Embeddings go straight to an endpoint that has them."""
    sdk = SURFACES[0].sdk
    vectors = sdk.embeddings.create(model="gpt", input=["a", "b"])
    assert len(vectors.data) == 2 and vectors.model == "gpt" and len(vectors.data[0].embedding) > 1, vectors
    assert PROVIDERS["gpt"].seen()[1]["model"] == "upstream-gpt"
    for model in ("glm", "claude", "router:all"):
        raised = raises(openai.BadRequestError, lambda: sdk.embeddings.create(model=model, input="a"))
        assert raised.code == "unsupported_by_model", raised.body


def continued():
    """An answer of Responses is gone on with by the endpoint that gave it, and by no other."""
    sdk = SURFACES[1].sdk
    for model in ("gpt", "router:all"):
        for stream in (False, True):
            first = sdk.responses.create(model="gpt", input="Remember this.")
            again = sdk.responses.create(model=model, input="What was it?", previous_response_id=first.id, stream=stream)
            if stream:
                again = [event for event in again][-1].response
            assert again.model == "gpt" and again.previous_response_id == first.id, again
            assert PROVIDERS["gpt"].seen()[1]["previous_response_id"] == first.id
    before = [PROVIDERS[model].requests() for model in ("glm", "claude")]
    for model in ("glm", "claude"):
        first = sdk.responses.create(model="gpt", input="Remember this.")
        try:
            sdk.responses.create(model=model, input="What was it?", previous_response_id=first.id)
        except openai.APIStatusError as raised:
            assert raised.status_code in (400, 503), raised
        else:
            raise AssertionError(f"{model} went on with an answer of gpt")
    assert before == [PROVIDERS[model].requests() for model in ("glm", "claude")], "another endpoint was asked"
    # What another provider gave is told apart by its name: this process never saw it.
    raises(openai.BadRequestError, lambda: sdk.responses.create(
        model="gpt", input="What was it?", previous_response_id="resp_of_someone_else"))
    calls = sdk.responses.create(model="gpt", input="Use clock.", tools=[
        {"type": "function", "name": "clock", "parameters": CLOCK.schema, "strict": False}])
    [call] = [item for item in calls.output if item.type == "function_call"]
    after = sdk.responses.create(model="gpt", previous_response_id=calls.id, input=[
        {"type": "function_call_output", "call_id": call.call_id, "output": "noon"}])
    assert "noon" in after.output_text, after


def parsed():
    """The SDKs' own way to structured answers, with a model of pydantic."""
    import enum

    import pydantic

    class Mood(enum.Enum):
        calm = "calm"
        cross = "cross"

    class Reply(pydantic.BaseModel):
        mood: Mood
        score: int
        tags: list[str]

    for model in PROVIDERS:
        whole = SURFACES[0].sdk.chat.completions.parse(
            model=model, messages=[{"role": "user", "content": "Judge."}], response_format=Reply)
        assert whole.choices[0].message.parsed.mood is Mood.calm, whole
        whole = SURFACES[1].sdk.responses.parse(model=model, input="Judge.", text_format=Reply)
        assert whole.output_parsed.tags == ["simulated"], whole
        whole = SURFACES[2].sdk.messages.parse(
            model=model, max_tokens=500, messages=[{"role": "user", "content": "Judge."}], output_format=Reply)
        assert whole.parsed_output.score == 1, whole


def routed():
    """A router's answer says who gave it, whichever SDK asks."""
    for surface in SURFACES:
        for stream in (False, True):
            answer = surface.ask(Ask("router:all", surface.say("Hello."), stream=stream))
            assert answer.headers["x-pointsman-reason"] == "unclassified", answer.headers
            assert answer.model == answer.headers["x-pointsman-model"] == "glm", answer
            assert answer.headers["x-pointsman-attempts"] == "1"


OTHERS = [own_mistakes, own_credentials, lists, counts, embeddings, continued, parsed, routed]


def main():
    """Runs everything and tells what did not hold."""
    passed, failures = 0, []

    def attempt(name, call):
        nonlocal passed
        try:
            call()
            passed += 1
        except Exception as fault:  # every failure is told, not only the first
            where = traceback.extract_tb(fault.__traceback__)
            line = next((frame.lineno for frame in reversed(where) if frame.filename.endswith("matrix.py")), 0)
            failures.append(f"{name} (line {line}): {type(fault).__name__}: {str(fault)[:900]}")

    only = sys.argv[2:]
    for scenario in SCENARIOS:
        for surface in SURFACES:
            for model in PROVIDERS:
                for stream in (False, True):
                    name = f"{scenario.__name__} {surface.name} {model} {'stream' if stream else 'whole'}"
                    if not only or any(word in name for word in only):
                        attempt(name, lambda: scenario(surface, Ask(model, [], stream=stream)))
    for other in OTHERS:
        if not only or other.__name__ in only:
            attempt(other.__name__, other)
    for failure in failures:
        print("FAILED", failure)
    print(f"sdk matrix: {passed} passed, {len(failures)} failed")
    sys.exit(bool(failures))


main()
