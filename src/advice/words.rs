//! What a description's words alone show.

/// A description of fewer words says too little. On the terse operators' routers of the tuning set, tasks without a
/// description got 40 % of their turns, with one or two words 46 %, with three or more 59 % (388 turns).
pub(super) const FEWEST_WORDS: usize = 3;

/// Words that say nothing of what a task is.
const EMPTY: [&str; 24] = [
    "a",
    "all",
    "an",
    "and",
    "any",
    "about",
    "for",
    "in",
    "kind",
    "kinds",
    "of",
    "on",
    "or",
    "question",
    "questions",
    "request",
    "requests",
    "related",
    "task",
    "tasks",
    "the",
    "to",
    "user",
    "users",
];

/// Why a description says too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thin {
    /// There is none.
    Missing,
    /// Every word of it is in the task's name, or says nothing.
    Repeats,
    /// It has fewer than [`FEWEST_WORDS`] words.
    Short,
}

/// Whether `description` says too little of the task `name`.
pub(super) fn thin(name: &str, description: &str) -> Option<Thin> {
    let words = of(description);
    if words.is_empty() {
        return Some(Thin::Missing);
    }
    let named = of(name);
    let adds = |word: &String| {
        !EMPTY.contains(&word.as_str()) && !named.iter().any(|other| same_stem(word, other))
    };
    if !words.iter().any(adds) {
        return Some(Thin::Repeats);
    }
    (length(&words) < FEWEST_WORDS).then_some(Thin::Short)
}

/// A text as it compares with others: its words in lower case.
pub(super) fn folded(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

fn of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// How many words there are. Scripts without spaces are counted as two characters a word.
fn length(words: &[String]) -> usize {
    let length = |word: &String| {
        let unspaced = word.chars().filter(|c| is_unspaced(*c)).count();
        if unspaced == 0 { 1 } else { unspaced.div_ceil(2) }
    };
    words.iter().map(length).fold(0, usize::saturating_add)
}

/// Thai to Khmer, and what is written in Chinese and Japanese.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3134f}')
}

/// Whether two words differ only in their ends: `bug` and `bugs`, `fix` and `fixing`.
fn same_stem(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    short == long || (short.chars().count() >= 3 && long.starts_with(short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_that_adds_nothing_is_thin() {
        assert_eq!(thin("bug-fixing", " … "), Some(Thin::Missing));
        assert_eq!(thin("bug-fixing", "Bug fixing."), Some(Thin::Repeats));
        assert_eq!(thin("bug-fixing", "all tasks about fixing of bugs"), Some(Thin::Repeats));
        assert_eq!(thin("billing", "invoices"), Some(Thin::Short));
        assert_eq!(thin("billing", "invoices, payments, refunds"), None);
        assert_eq!(thin("summaries", "Summarize documents and texts"), None);
    }

    #[test]
    fn words_are_counted_in_scripts_without_spaces() {
        assert_eq!(thin("billing", "発票"), Some(Thin::Short));
        assert_eq!(thin("billing", "请求书和付款的问题"), None);
        assert_eq!(thin("billing", "คำถามเกี่ยวกับใบแจ้งหนี้"), None);
    }
}
