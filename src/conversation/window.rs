//! Head and tail of a long text, cut between characters.

/// Characters kept from the beginning of a long text.
const HEAD: usize = 1_000;
/// Characters kept from its end.
const TAIL: usize = 1_000;

/// A text that is short enough to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) text: String,
    pub(super) whole: bool,
}

/// The pieces without the space around them, on lines of their own; of more than 2,000 characters, head and tail.
/// `None` when there is nothing but space.
pub(super) fn cut(pieces: &[&str]) -> Option<Cut> {
    let pieces: Vec<&str> =
        pieces.iter().map(|piece| piece.trim()).filter(|piece| !piece.is_empty()).collect();
    if pieces.is_empty() {
        return None;
    }
    if is_short(&pieces) {
        return Some(Cut { text: pieces.join("\n"), whole: true });
    }
    let mut text = head(&pieces);
    text.push('\n');
    text.push_str(&tail(&pieces));
    Some(Cut { text, whole: false })
}

fn is_short(pieces: &[&str]) -> bool {
    let limit = HEAD.saturating_add(TAIL);
    let mut length = pieces.len().saturating_sub(1);
    for piece in pieces {
        let beyond = limit.saturating_add(1).saturating_sub(length);
        length = length.saturating_add(piece.chars().take(beyond).count());
        if length > limit {
            return false;
        }
    }
    true
}

fn head(pieces: &[&str]) -> String {
    let mut text = String::new();
    let mut left = HEAD;
    for piece in pieces {
        if !text.is_empty() {
            text.push('\n');
            left = left.saturating_sub(1);
        }
        let end = piece.char_indices().nth(left).map_or(piece.len(), |(at, _)| at);
        let taken = piece.get(..end).unwrap_or_default();
        left = left.saturating_sub(taken.chars().count());
        text.push_str(taken);
        if left == 0 {
            break;
        }
    }
    text
}

fn tail(pieces: &[&str]) -> String {
    let mut taken: Vec<&str> = Vec::new();
    let mut left = TAIL;
    for piece in pieces.iter().rev() {
        if left == 0 {
            break;
        }
        let from = piece.char_indices().rev().nth(left.saturating_sub(1)).map_or(0, |(at, _)| at);
        let end = piece.get(from..).unwrap_or_default();
        left = left.saturating_sub(end.chars().count());
        taken.push(end);
        if left == 1 {
            // The line break before it is the first character of the tail.
            taken.push("");
        }
        left = left.saturating_sub(1);
    }
    taken.reverse();
    taken.join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_at_the_limit_is_whole_and_one_beyond_is_not() {
        let limit = "é".repeat(2_000);
        assert_eq!(cut(&[&limit]), Some(Cut { text: limit.clone(), whole: true }));
        let halves = ["a".repeat(1_000), "b".repeat(999)];
        assert!(cut(&[&halves[0], &halves[1]]).unwrap().whole);
        let over = "é".repeat(2_001);
        assert!(!cut(&[&over]).unwrap().whole);
        assert!(!cut(&[&halves[0], &halves[1], "c"]).unwrap().whole);
    }

    #[test]
    fn a_tail_may_begin_with_a_line_break() {
        let (long, last) = ("a".repeat(1_500), "b".repeat(999));
        let cut = cut(&[&long, &last]).unwrap();
        assert_eq!(cut.text, format!("{}\n\n{last}", "a".repeat(1_000)));
    }

    #[test]
    fn both_ends_of_a_long_text_are_kept() {
        let long = format!("first {} last", "x".repeat(5_000_000));
        let cut = cut(&[&long]).unwrap();
        assert!(cut.text.starts_with("first x") && cut.text.ends_with("x last"));
        assert_eq!(cut.text.chars().count(), 2_001);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_the_joined_text_begins_and_ends_with(
            pieces in proptest::collection::vec("[aé\u{1F680}]{0,900}", 0..6)
        ) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let kept: Vec<&str> = pieces.iter().copied().filter(|piece| !piece.is_empty()).collect();
            let joined: Vec<char> = kept.join("\n").chars().collect();
            match cut(&pieces) {
                None => prop_assert!(kept.is_empty()),
                Some(Cut { text, whole: true }) => {
                    prop_assert!(joined.len() <= 2_000);
                    prop_assert_eq!(text, joined.iter().collect::<String>());
                }
                Some(Cut { text, whole: false }) => {
                    prop_assert!(joined.len() > 2_000);
                    let head: String = joined[..1_000].iter().collect();
                    let tail: String = joined[joined.len().saturating_sub(1_000)..].iter().collect();
                    prop_assert_eq!(text, format!("{head}\n{tail}"));
                }
            }
        }
    }
}
