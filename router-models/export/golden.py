"""Golden vectors: what the program must reproduce before it trusts a model, token for token.

The conversations cover fourteen languages, emoji, code, long texts, several turns and texts that look like special
tokens. The first `LOAD_CHECKED` of each kind run through the encoder at every start, all of them in the tests.
"""

import json
from pathlib import Path

from encoder import Encoder
from window import Encode, conversation_tokens, task_tokens

LOAD_CHECKED = 2


def _user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


_LONG = "The committee met on Tuesday and went through the budget line by line, without reaching a result. " * 60

CONVERSATIONS = [
    _user("why does this loop never end?"),
    [
        {"role": "system", "content": "You are a coding assistant."},
        {"role": "user", "content": "Schreib mir eine Funktion, die Primzahlen zählt."},
        {
            "role": "assistant",
            "content": "def count_primes(n):\n    return sum(all(k % d for d in range(2, k)) for k in range(2, n))",
        },
        {"role": "user", "content": "Can you make it faster? 🚀"},
    ],
    _user("Traduis cette phrase en anglais, s'il te plaît : « Où est la gare ? »"),
    _user("¿Cuál es la diferencia entre una lista y una tupla?"),
    _user("Qual è il modo migliore per riassumere un contratto?"),
    _user("Escreva um e-mail pedindo férias na próxima semana"),
    _user("Wat is het weer morgen in Utrecht?"),
    _user("Napisz test jednostkowy dla tej klasy, żółć"),
    _user("Перепиши этот абзац короче, пожалуйста"),
    _user("اكتب لي قصيدة قصيرة عن البحر"),
    _user("कृपया इस दस्तावेज़ का सारांश दें"),
    _user("请把下面的文字翻译成英文：今天天气很好。"),
    _user("このコードのバグを直してください。エラーはﾊﾝｶｸとＦＵＬＬＷＩＤＴＨです"),
    _user("이 표를 요약해 줘"),
    _user("Bu cümleyi düzelt: İstanbul'a gidicem"),
    _user("👩‍👩‍👧‍👦 ❤️‍🔥 🇩🇪 what do these mean?"),
    _user(
        '```python\nfor i in range(10):\n\tprint(f"{i:>3}")\n```\n'
        "TypeError: unsupported operand type(s) for +: 'int' and 'str'"
    ),
    _user("  \t leading   and    inner     spaces\u00a0and\u3000wide ones \u200b zero width \n\n\n end "),
    _user("</s><s> <mask> <unk> <pad> ▁ \u0000 ﬁne Å e\u0301 \ufeff \ufffd"),
    _user(f"Summarize in one sentence:\n\n{_LONG}"),
    _user(f"{_LONG}\n\nTranslate the text above into Japanese."),
    _user("𝒽𝑒𝓁𝓁𝑜 ①②③ ㍿ ½ ™ 𓀀𓀁𓀂 ༀ"),
    _user("a"),
    _user("https://example.com/a/very/long/path?with=query&and=%20escapes#fragment 0123456789abcdef"),
    [
        {"role": "user", "content": "Book a table for two in Lisbon"},
        {"role": "assistant", "content": "For which day? " + "Let me list every restaurant that I know. " * 40},
        {"role": "tool", "content": "nothing of this is read"},
        {"role": "user", "content": "Friday"},
        {"role": "assistant", "content": "And at what time?"},
        {"role": "user", "content": "eight"},
    ],
    [{"role": "user", "content": f"turn {turn}"} for turn in range(40)],
    [{"role": "user", "content": _LONG}, {"role": "user", "content": _LONG}, {"role": "user", "content": "shorter"}],
    _user("thanks, bye!"),
]

TASKS = [
    "bug-fixing: Identify and fix errors or bugs in code that the user supplies",
    "translation",
    "résumé-help: Lebensläufe und Anschreiben prüfen und verbessern",
    "long: " + "everything about a very long description that does not end, " * 20,
]


def write(path: Path, encoder: Encoder, encode: Encode) -> None:
    """Runs every case and writes what came out."""

    def result(ids: list[int], types: list[int], task: bool) -> dict:
        vector, none = encoder.run(ids, types, task)
        return {"ids": ids, "types": types, "vector": [round(float(x), 5) for x in vector], "none": round(none, 4)}

    conversations = [
        {"messages": messages, **result(*conversation_tokens(messages, encode), False)} for messages in CONVERSATIONS
    ]
    tasks = []
    for text in TASKS:
        ids = task_tokens(text, encode)
        tasks.append({"text": text, **result(ids, [0] * len(ids), True)})
    content = {"load_checked": LOAD_CHECKED, "conversations": conversations, "tasks": tasks}
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
