"""Writes `window.json`: which tokens the default classifier reads of conversations in many languages, of code, of emoji
and of megabytes. `src/classifier/onnx/vectors.rs` holds the program to it, token for token, on every way in.

What is read of a request (the wrappers of coding agents left out, pieces on lines of their own) is written here a second
time, so that a mistake in one of the two shows. Cutting and counting tokens is `router-models/export/window.py`, which
training reads with too.

    python generate.py TOKENIZER    # the published tokenizer.json of multilingual-e5-small

A text is a list of pieces `[text, how often]`, so that a megabyte takes a line. Run it again when the token rule changes.
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "router-models" / "export"))

from window import WHITE, conversation_tokens, load_tokenizer, task_tokens  # noqa: E402

LEFT_OUT = (
    "system-reminder system_reminder command-name command-message command-contents local-command-stdout "
    "local-command-stderr local-command-caveat bash-stdout bash-stderr task-notification ide_opened_file ide_selection "
    "environment_context user_instructions turn_aborted environment_details additional_data user_info project_layout "
    "open_and_recently_viewed_files reminderInstructions"
).split()
UNWRAPPED = "user_query userRequest command-args bash-input user_message".split()
WRAPPER = re.compile(
    rf"<(?P<name>{'|'.join(LEFT_OUT)})(?=[> \n]).*?</(?P=name)>|</?(?:{'|'.join(UNWRAPPED)})(?=[> \n])[^>]*>", re.DOTALL
)
MEGABYTES = 5_000_000

# An ask, a sentence to make a document of, and what is said next.
LANGUAGES = {
    "de": ("Fasse den Vertrag in drei Sätzen zusammen", "Der Mieter zahlt die Nebenkosten zusätzlich. ", "und kürzer?"),
    "en": ("Find the bug in this function, it's off by one", "The quick brown fox doesn't jump today. ", "why?"),
    "fr": ("Traduis ça en espagnol, s'il te plaît", "L'été dernier, nous étions à Besançon près du fleuve. ", "plus court"),
    "es": ("¿Cuánto creció el ingreso en el año 2023?", "El niño comió jalapeños mañana y noche. ", "¿y en 2022?"),
    "it": ("Scrivi un'e-mail di scuse al cliente", "Perché la città è più bella così com'è. ", "più formale"),
    "pt": ("Quero cancelar minha assinatura amanhã", "A informação não está disponível na coleção. ", "obrigado, tchau"),
    "nl": ("Leg uit wat deze reguliere expressie doet", "Zij reïncarneerden één voor één in het café. ", "nog eens"),
    "pl": ("Napisz testy jednostkowe dla tej klasy", "Zażółć gęślą jaźń, powiedział źrebak. ", "dlaczego?"),
    "ru": ("Перепиши этот абзац вежливее", "Съешь ещё этих мягких французских булок. ", "а короче?"),
    "ar": ("اكتب لي خطة سفر إلى مراكش", "اللُّغَةُ العَرَبِيَّةُ جَمِيلَةٌ جِدًّا. ", "لماذا؟"),
    "hi": ("इस दस्तावेज़ का सारांश बताइए", "क्षेत्रीय भाषाओं में ज्ञान की वृद्धि होती है। ", "और छोटा"),
    "zh": ("请把这份合同翻译成英文", "今天天气很好，我们去公园散步吧。", "再短一点"),
    "ja": ("この関数のバグを直してください", "吾輩は猫である。名前はまだ無い。ｶﾀｶﾅも。", "なぜですか"),
    "ko": ("이 표에서 매출 증가율을 계산해 줘", "다람쥐 헌 쳇바퀴에 타고파. ", "왜?"),
    "tr": ("İstanbul için üç günlük plan yap", "Pijamalı hasta yağız şoföre çabucak güvendi. ", "daha kısa"),
    "el": ("Εξήγησε τι κάνει αυτός ο κώδικας", "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας. ", "γιατί;"),
    "he": ("תרגם את המכתב לאנגלית", "שָׁלוֹם לְכֻלָּם וּבֹקֶר טוֹב. ", "למה?"),
    "th": ("ช่วยสรุปเอกสารนี้ให้หน่อย", "วันนี้อากาศดีมากเราไปเดินเล่นกันเถอะ ", "ทำไม"),
    "vi": ("Viết một bài thơ ngắn về biển", "Hôm nay trời đẹp, chúng ta đi dạo nhé. ", "ngắn hơn"),
    "uk": ("Поясни різницю між стеком і чергою", "Жебракують філософи при ґанку церкви. ", "чому?"),
}

CODE = {
    "python": "def median(v):\n    v = sorted(v)\n    n = len(v)\n    return v[n//2] if n % 2 else (v[n//2-1]+v[n//2])/2\n",
    "rust": "fn main() -> Result<(), Box<dyn Error>> { let x: Vec<_> = (0..=9).map(|i| i*i).collect(); Ok(()) }\n",
    "sql": "SELECT c.id, COUNT(*) AS n FROM customers c LEFT JOIN orders o ON o.cid=c.id GROUP BY 1 HAVING n > 10;\n",
    "json": '{"a":[1,2.5e-7,null,true],"naïve":"\\u00e9\\n","z":{"y":{}}},',
    "trace": 'Traceback (most recent call last):\n  File "/app/x.py", line 42, in <module>\nKeyError: \'id\'\n',
    "diff": "@@ -1,4 +1,4 @@\n-let x = 1;\n+let x = 2;\n context\n",
    "tabs": "\tif (x) {\r\n\t\treturn;\r\n\t}\r\n",
    "base64": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODkrLw==",
    "minified": "!function(e,t){var n=e.x||[];for(;n.length;)t(n.pop())}(window,console.log);",
}

ODD = {
    "a family": "👩‍👩‍👧‍👦👍🏽🇩🇪🏴󠁧󠁢󠁥󠁮󠁧󠁿 what?",
    "combining marks": "e\u0301 a\u0308\u0323 Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!",
    "both directions": "abc \u202eשלום\u202c def \u200fمرحبا\u200e ghi",
    "invisible": "a\u200b\u200c\u200d\u2060\ufeffb\u00adc\u180e",
    "control characters": "a\u0000b\u0001\u001b[31mred\u001b[0m\u007f\u0085c",
    "line ends": "one\rtwo\r\nthree\u2028four\u2029five\u000bsix\u000cseven",
    "wide and narrow": "ＡＢＣ １２３ ﾊﾝｶｸ ｶﾞ ㍿ ﬁﬃ ① ² ½ Ⅷ ℃",
    "special tokens": "<s></s><pad><unk><mask> [CLS] [SEP] ▁▁ ▁a <|im_end|>",
    "mathematics": "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, ∑_{i=0}^n 𝑎ᵢ ≤ ∫f dμ ⇒ √2∉ℚ",
    "astral": "𓀀𓀁 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𠜎𠜱𠝹 🀄",
    "private and unassigned": "\ue000\uf8ff\U000f0000 \u0378 \ufffe\uffff",
    "spaces": "a \u00a0 \u2003 \u3000 b\t\t\tc",
    "numbers": "3.14159 1,000,000 0x1F 1e-9 ١٢٣ १२३ 一二三 +49 (0)30 1234567",
    "an address": "https://user:pw@example.com:8443/a%20b/?q=1&r=%C3%A9#é",
}


def text(*pieces) -> list:
    """A text part: pieces, each a text or a text and how often."""
    return [piece if isinstance(piece, list) else [piece, 1] for piece in pieces]


def said(role: str, *parts) -> dict:
    """A message of text parts."""
    return {"role": role, "parts": [part if isinstance(part, list) else text(part) for part in parts]}


def cases() -> dict[str, list[dict]]:
    """All conversations, by name."""
    found = {}
    for name, (ask, sentence, follow_up) in LANGUAGES.items():
        found[f"{name}: an ask"] = [said("user", ask)]
        found[f"{name}: an ask and emoji"] = [said("user", f"{ask} 🙏🏾 {follow_up}")]
        found[f"{name}: the ask before a document"] = [said("user", text(ask, "\n\n", [sentence, 200]))]
        found[f"{name}: the ask after a document"] = [said("user", text([sentence, 200], "\n\n", ask))]
        found[f"{name}: a second turn"] = [
            said("system", sentence * 3),
            said("user", text(ask, ": ", [sentence, 9])),
            said("assistant", text([sentence, 9])),
            said("user", follow_up),
        ]
    for name, piece in CODE.items():
        found[f"code: {name}"] = [said("user", piece)]
        found[f"code: much {name}"] = [said("user", text("explain: ", [piece, 300]))]
        found[f"code: {name}, then a question"] = [
            said("user", text([piece, 30])), said("assistant", piece), said("user", "and why?")
        ]
    for name, piece in ODD.items():
        found[f"odd: {name}"] = [said("user", piece)]
        found[f"odd: much of {name}"] = [said("user", text([piece + " ", 120], "what is this?"))]
    found |= megabytes() | wrapped() | shapes()
    return found


def megabytes() -> dict[str, list[dict]]:
    """Inputs of five million bytes."""
    many = {"letters": "a", "words": "lorem ipsum ", "Chinese": "合同", "emoji": "🚀", "lines": "x\n", "punctuation": "-=",
            "digits": "0123456789", "combining marks": "e\u0301", "open wrappers": "<system-reminder>"}
    found = {}
    for name, piece in many.items():
        often = MEGABYTES // len(piece.encode())
        found[f"5 MB of {name}"] = [said("user", text("what is this? ", [piece, often], " the end"))]
    often = MEGABYTES // 12
    found["5 MB between two asks"] = [said("user", text(["lorem ipsum ", often])), said("user", "summarize it")]
    found["5 MB of an answer"] = [said("user", "go on"), said("assistant", text(["lorem ipsum ", often])), said("user", "on")]
    found["5 MB of space around"] = [said("user", text([" \n", MEGABYTES // 2], "hello", ["\u3000", MEGABYTES // 3]))]
    reminder = text("<system-reminder>", ["lorem ipsum ", often], "</system-reminder>fix the test")
    found["5 MB in a wrapper"] = [said("user", reminder)]
    found["5 MB in many parts"] = [said("user", *[text(["part ", 100_000])] * 10)]
    return found


def wrapped() -> dict[str, list[dict]]:
    """What coding agents wrap around a turn."""
    reminder = "<system-reminder>\nToday is Monday. <b>Be brief.</b>\n</system-reminder>"
    return {
        "a reminder before": [said("user", f"{reminder}\nfix the test")],
        "a reminder after": [said("user", f"fix the test {reminder}")],
        "a reminder between": [said("user", f"fix {reminder}\n\n the test{reminder}")],
        "a reminder as a part": [said("user", reminder, "  fix the test  ", reminder)],
        "only a reminder as the last turn": [said("user", "fix the test"), said("user", reminder)],
        "with attributes": [said("user", '<ide_selection lines="3-9" file="a.rs">fn x() {}</ide_selection> explain this')],
        "not closed": [said("user", "what does <system-reminder> do in a prompt?")],
        "closed only": [said("user", "what does </system-reminder> do?")],
        "not known": [said("user", "<context>a page</context> summarize <b>this</b> if a < b > c")],
        "a name that only begins so": [said("user", "<user_information>x</user_information> hello")],
        "around the words": [said("user", "<user_query>\nfix the <b>login</b> page\n</user_query>")],
        "a command": [said("user", "<command-name>/fix</command-name> <command-args>the login page</command-args>")],
        "several": [
            said("user", "<environment_context>\n<cwd>/a</cwd>\n</environment_context>", "why?", "<user_info>x</user_info>")
        ],
        "one in another": [said("user", "<system-reminder>a <user_query>b</user_query> c</system-reminder> d")],
    }


def shapes() -> dict[str, list[dict]]:
    """Turns of every kind and order."""
    long = text(["The committee met on Tuesday and went through the budget. ", 40])
    turns = [said("user" if turn % 2 == 0 else "assistant", f"turn {turn} of many") for turn in range(41)]
    return {
        "many turns": turns,
        "many turns of the user": [said("user", f"turn {turn}") for turn in range(40)],
        "seventeen turns": [said("user", f"number {turn}") for turn in range(17)],
        "an answer at the end": [said("user", "list three colors"), said("assistant", "red, green,")],
        "two answers in a row": [
            said("user", "hello"), said("assistant", "one"), said("assistant", "two"), said("user", "and?")
        ],
        "an empty answer": [said("user", "hello"), said("assistant", "first"), said("assistant", " "), said("user", "and?")],
        "an empty turn at the end": [said("user", "hello there"), said("assistant", "hi"), said("user", " \n\t\u3000")],
        "only the last is short": [said("user", long), said("assistant", long), said("user", long), said("user", "ok?")],
        "long and long": [said("user", long), said("user", long)],
        "a long turn after a short one": [said("user", "hi"), said("assistant", "hello"), said("user", long)],
        "room for four tokens": [said("user", "one two three " * 20), said("user", "nine " * 15), said("user", long)],
        "parts on lines of their own": [said("user", "first part", " ", "second part ", "\n third part")],
        "a letter": [said("user", "a")],
        "1,000 characters": [said("user", text(["é", 1_000]))],
        "1,001 characters": [said("user", text(["é", 500], "x", ["ü", 500]))],
        "2,000 characters": [said("user", text(["ä ", 999], "zz"))],
        "2,001 characters": [said("user", text(["ä ", 1_000], "z"))],
    }


TASKS = {
    "a name": text("translation"),
    "a name and a description": text("bug-fixing: Find and fix a bug in existing code"),
    "German": text("Rechnungen: Fragen zu Rechnungen, Mahnungen und Überweisungen"),
    "Japanese": text("請求書: 請求書と支払いに関する質問"),
    "Arabic": text("فواتير: أسئلة حول الفواتير والمدفوعات"),
    "emoji": text("fun 🎉: Jokes, memes and 👩‍👩‍👧‍👦"),
    "a long description": text("everything: ", ["whatever users may ask for, in any words, at any time, ", 60]),
    "a very long one": text("everything: ", ["請求", 20_000]),
    "spaces": text("  odd :   spaces \u3000 and\n\tlines  "),
}


def whole(part: list) -> str:
    """A text part written out."""
    return "".join(piece * often for piece, often in part)


def read(message: dict) -> str:
    """What is read of a message: its parts without wrappers, on lines of their own."""
    pieces = [piece for part in message["parts"] for piece in outside(whole(part))]
    return "\n".join(piece for piece in (piece.strip(WHITE) for piece in pieces) if piece)


def outside(part: str) -> list[str]:
    """The pieces of a text between its wrappers."""
    pieces, at = [], 0
    # Without a closing tag the expression would look for one from every opening tag to the end.
    if "</" in part:
        for found in WRAPPER.finditer(part):
            pieces.append(part[at : found.start()])
            at = found.end()
    return [*pieces, part[at:]]


def main() -> None:
    encode = load_tokenizer(Path(sys.argv[1]))
    conversations = []
    for name, messages in cases().items():
        plain = [{"role": message["role"], "content": read(message)} for message in messages]
        ids, types = conversation_tokens(plain, encode)
        conversations.append({"name": name, "messages": messages, "ids": ids, "earlier": sum(types)})
    tasks = [{"name": name, "text": part, "ids": task_tokens(whole(part), encode)} for name, part in TASKS.items()]

    def lines(values: list) -> str:
        return ",\n".join(json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values)

    content = f'{{"conversations":[\n{lines(conversations)}\n],"tasks":[\n{lines(tasks)}\n]}}\n'
    (HERE / "window.json").write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
