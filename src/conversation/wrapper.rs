//! The wrappers that coding agents put around a user's words.
//!
//! Agents tell a model of open files, the date or the outcome of a command inside user turns, in elements of known
//! names. None of it is the user's intent, and it is often longer than the ask. Only these names are known, and only an
//! element that is closed is left out: a user who writes about such an element keeps the words.

use memchr::memmem;

/// Elements that are left out with all they hold: Claude Code, Codex, Cline and Roo, Cursor, Copilot.
const LEFT_OUT: [&str; 22] = [
    "system-reminder",
    "system_reminder",
    "command-name",
    "command-message",
    "command-contents",
    "local-command-stdout",
    "local-command-stderr",
    "local-command-caveat",
    "bash-stdout",
    "bash-stderr",
    "task-notification",
    "ide_opened_file",
    "ide_selection",
    "environment_context",
    "user_instructions",
    "turn_aborted",
    "environment_details",
    "additional_data",
    "user_info",
    "project_layout",
    "open_and_recently_viewed_files",
    "reminderInstructions",
];

/// Elements around the user's own words: the tags are left out, the words stay.
const UNWRAPPED: [&str; 5] =
    ["user_query", "userRequest", "command-args", "bash-input", "user_message"];

/// The pieces of `text` outside of wrappers, without those that are only space.
pub(super) fn strip(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut scan = Scan { text, unclosed: 0 };
    let (mut from, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'<', text.as_bytes().get(at..).unwrap_or_default()) {
        let open = at.saturating_add(found);
        if let Some(end) = scan.element(open) {
            keep(&mut pieces, text.get(from..open));
            from = end;
            at = end;
        } else {
            at = open.saturating_add(1);
        }
    }
    keep(&mut pieces, text.get(from..));
    pieces
}

fn keep<'a>(pieces: &mut Vec<&'a str>, piece: Option<&'a str>) {
    pieces.extend(piece.filter(|piece| !piece.trim().is_empty()));
}

struct Scan<'a> {
    text: &'a str,
    /// A bit for each name of `LEFT_OUT` that is not closed any more: it is not looked for again, so that many opening
    /// tags cost one pass, not one each.
    unclosed: u32,
}

impl Scan<'_> {
    /// The end of what is left out at `open`.
    fn element(&mut self, open: usize) -> Option<usize> {
        let rest = self.text.get(open.checked_add(1)?..)?;
        let closing = rest.strip_prefix('/');
        let name = name_of(closing.unwrap_or(rest))?;
        if UNWRAPPED.contains(&name) {
            let tag = memchr::memchr(b'>', rest.as_bytes())?;
            return open.checked_add(tag)?.checked_add(2);
        }
        let index = LEFT_OUT.iter().position(|known| *known == name)?;
        let bit = 1_u32.checked_shl(u32::try_from(index).ok()?)?;
        if closing.is_some() || self.unclosed & bit != 0 {
            return None;
        }
        let close = format!("</{name}>");
        let Some(at) = memmem::find(rest.as_bytes(), close.as_bytes()) else {
            self.unclosed |= bit;
            return None;
        };
        open.checked_add(1)?.checked_add(at)?.checked_add(close.len())
    }
}

/// The name at the beginning of a tag that is `name>`, or `name` and attributes.
fn name_of(tag: &str) -> Option<&str> {
    let longest = tag.as_bytes().get(..tag.len().min(40))?;
    let end = longest.iter().position(|byte| matches!(byte, b'>' | b' ' | b'\n'))?;
    tag.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_left_out_with_what_they_hold() {
        let text = "<environment_context>\n<cwd>/a</cwd>\n</environment_context>\nWhy <b>this</b>?\n<system-reminder>x</system-reminder>";
        assert_eq!(strip(text), ["\nWhy <b>this</b>?\n"]);
        assert!(
            strip("<command-name>/clear</command-name> <command-message>c</command-message>")
                .is_empty()
        );
    }

    #[test]
    fn tags_around_the_users_own_words_go_and_the_words_stay() {
        assert_eq!(strip("<user_query>\nhi there\n</user_query>"), ["\nhi there\n"]);
        let text = "<command-name>/fix</command-name><command-args>the login page</command-args>";
        assert_eq!(strip(text), ["the login page"]);
    }

    #[test]
    fn an_element_that_is_not_closed_or_not_known_is_text() {
        for text in [
            "what does <system-reminder> do?",
            "<div>a</div>",
            "a < b",
            "<",
            "</ide_selection>",
            "<é",
        ] {
            assert_eq!(strip(text), [text]);
        }
    }

    #[test]
    fn attributes_do_not_hide_a_wrapper() {
        assert_eq!(strip("<ide_selection lines=\"3\">x</ide_selection>go"), ["go"]);
    }

    #[test]
    fn many_unclosed_tags_cost_one_pass() {
        let text = "<system-reminder>".repeat(300_000);
        assert_eq!(strip(&text), [text.as_str()]);
    }
}
