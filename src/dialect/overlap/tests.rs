//! What is dropped of a continuation, by example and by property.

use proptest::prelude::*;

use super::*;

/// What goes on of a continuation that comes in these pieces.
fn rest_of<'t>(
    delivered: &str,
    trimmed: bool,
    pieces: impl IntoIterator<Item = &'t str>,
) -> String {
    let mut overlap = Overlap::new(delivered, trimmed);
    let mut out = String::new();
    for piece in pieces {
        overlap.push(piece, &mut |text| out.push_str(text));
    }
    overlap.finish(&mut |text| out.push_str(text));
    out
}

/// A long text in which nothing comes twice.
fn long() -> String {
    let lines: Vec<String> = (0..4000).map(|line| format!("This is line {line}.")).collect();
    lines.join(" ")
}

/// What goes on, whole and letter by letter alike.
#[track_caller]
fn rest(delivered: &str, continuation: &str) -> String {
    let whole = rest_of(delivered, false, [continuation]);
    let letters: Vec<String> = continuation.chars().map(String::from).collect();
    assert_eq!(rest_of(delivered, false, letters.iter().map(String::as_str)), whole);
    whole
}

#[test]
fn a_continuation_that_goes_on_loses_nothing() {
    for (delivered, continuation) in [
        ("The cat sat on", " the mat."),
        ("The contin", "uation"),
        ("Hel", "lo"),
        ("Help", "less"),
        ("3.1", "1111"),
        ("f {\n}\n}", "}\n}\n"),
        ("I saw a", "nother"),
        ("", "Hello"),
        ("  ", "Hello"),
        ("一二三", "三四"),
    ] {
        assert_eq!(rest(delivered, continuation), continuation, "{delivered:?}");
    }
}

#[test]
fn the_last_words_are_dropped() {
    for (delivered, continuation, new) in [
        ("The cat sat on the", "on the mat.", " mat."),
        ("The cat sat on the", "sat on the mat.", " mat."),
        ("The cat sat on the", " the mat.", " mat."),
        ("The cat sat on the ", "on the mat.", "mat."),
        ("The cat sat on the contin", "on the continuation", "uation"),
        ("1, 2, 3, 10, 11", "11, 12", ", 12"),
        ("I saw a", "a cat", " cat"),
        ("one. Two.", "Two. Three.", " Three."),
        ("今天天气很好", "天气很好，我们", "，我们"),
        ("def f():\n    ", "def f():\n    return 1", "return 1"),
        ("def f():\n", "def f():\n    return 1", "    return 1"),
        ("a b\nc d", "b c d e", " e"),
        ("the end.", "the end.", ""),
        ("list:\n1. first\n2.", "2. second", " second"),
    ] {
        assert_eq!(rest(delivered, continuation), new, "{delivered:?} + {continuation:?}");
    }
}

#[test]
fn an_answer_that_begins_again_is_joined() {
    for (delivered, continuation, new) in [
        ("H", "Hello", "ello"),
        ("The cat sat on the", "The cat sat on the mat.", " mat."),
        ("The cat  sat\non the", "\nThe cat sat on the mat.", " mat."),
        ("The cat sat on ", "The cat sat on the mat.", "the mat."),
        ("{", "{\"a\": 1}", "\"a\": 1}"),
        ("a a a", "a a a a", " a"),
        ("1", "10", "0"),
    ] {
        assert_eq!(rest(delivered, continuation), new, "{delivered:?} + {continuation:?}");
    }
    let long = long();
    assert_eq!(rest_of(&long, false, [long.as_str(), " And then?"]), " And then?");
    let cut = long.get(..30_000).unwrap();
    assert!(format!("{cut}{}", rest_of(cut, false, [long.as_str()])) == long);
}

#[test]
fn what_begins_again_in_other_words_is_kept_whole() {
    let again = "The cat sat upon a mat.";
    assert_eq!(rest("The cat sat on the", again), again);
    let long = long();
    let other = format!("{} And then?", long.get(..10_000).unwrap());
    assert!(rest_of(&long, false, [other.as_str()]) == other);
}

#[test]
fn white_space_that_was_not_shown_is_not_repeated() {
    for (delivered, continuation, new) in [
        ("The cat ", " sat", "sat"),
        ("The cat ", "sat", "sat"),
        ("The cat", " sat", " sat"),
        ("if x:\n    ", "\n    return", "return"),
        ("if x:\n", "\n    return", "    return"),
        ("The cat ", "The cat sat", "sat"),
    ] {
        let letters: Vec<String> = continuation.chars().map(String::from).collect();
        let pieces = letters.iter().map(String::as_str);
        assert_eq!(rest_of(delivered, true, pieces), new, "{delivered:?} + {continuation:?}");
    }
}

#[test]
fn what_is_new_flows_at_once() {
    let mut overlap = Overlap::new("The cat sat on the", false);
    let mut out = Vec::new();
    for piece in ["on", " the", " mat", " and", " slept"] {
        overlap.push(piece, &mut |text| out.push(text.to_owned()));
    }
    assert_eq!(out, [" mat", " and", " slept"]);
}

#[test]
fn a_text_of_one_word_does_not_cost_its_square() {
    let word = "a ".repeat(200_000);
    assert_eq!(rest_of(&word, false, [word.as_str()]), "");
    let other = format!("{}b", "a ".repeat(150_000));
    assert!(rest_of(&word, false, [other.as_str()]).ends_with("a b"));
}

fn words() -> impl Strategy<Value = String> {
    proptest::collection::vec("[a-c]{1,3}|[ \n]{1,2}|[.,]|日|本", 0..12)
        .prop_map(|all| all.concat())
}

proptest! {
    #[test]
    fn no_split_changes_what_goes_on(
        delivered in words(),
        continuation in words(),
        cuts in proptest::collection::vec(0..64_usize, 0..6),
        trimmed in any::<bool>(),
    ) {
        let letters: Vec<char> = continuation.chars().collect();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(letters.len())).collect();
        cuts.extend([0, letters.len()]);
        cuts.sort_unstable();
        let pieces: Vec<String> =
            cuts.windows(2).map(|pair| letters[pair[0]..pair[1]].iter().collect()).collect();
        let split = rest_of(&delivered, trimmed, pieces.iter().map(String::as_str));
        prop_assert_eq!(split, rest_of(&delivered, trimmed, [continuation.as_str()]));
    }

    #[test]
    fn only_a_beginning_is_ever_dropped_and_only_what_was_said(
        delivered in words(),
        continuation in words(),
    ) {
        let rest = rest_of(&delivered, false, [continuation.as_str()]);
        let dropped = continuation.strip_suffix(rest.as_str());
        prop_assert!(dropped.is_some());
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let dropped = squeeze(dropped.unwrap());
        prop_assert!(squeeze(&delivered).ends_with(&dropped), "{dropped:?}");
    }

    #[test]
    fn an_answer_given_whole_again_ends_as_it_would_have(answer in words(), cut in 0..64_usize) {
        let letters: Vec<char> = answer.chars().collect();
        let cut = cut.min(letters.len());
        let delivered: String = letters[..cut].iter().collect();
        let rest = rest_of(&delivered, false, [answer.as_str()]);
        // White space at the seam is joined with what is there.
        let plain = |text: String| text.split_whitespace().collect::<String>();
        if delivered.trim().is_empty() {
            prop_assert_eq!(rest, answer);
        } else {
            prop_assert_eq!(plain(delivered + &rest), plain(answer));
        }
    }
}
