//! Every turn through the classifier, several at a time.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::anyhow;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    catalog::router::Router,
    classify::{self, Classifier, Unclassified, Verdict},
    cli::eval::data::{Data, Turn},
    conversation::{Conversation, Speaker},
    evaluation::{Label, Outcome, Said},
};

/// How many turns are on their way for each thread, so that none waits for the next.
const UNDER_WAY: usize = 4;

/// The characters of a text that are shown, from its beginning and from its end.
const HEAD: usize = 90;
const TAIL: usize = 40;

/// What `classifier` says of every turn, in their order.
pub(super) async fn all(
    classifier: &dyn Classifier,
    data: Data,
    threads: usize,
) -> anyhow::Result<Vec<Outcome>> {
    let width = threads.saturating_mul(UNDER_WAY);
    let routers: BTreeMap<usize, &Arc<Router>> =
        data.turns.iter().map(|turn| (Arc::as_ptr(&turn.router).addr(), &turn.router)).collect();
    let learning =
        routers.into_values().map(|router| classifier.prepare(std::slice::from_ref(router)));
    stream::iter(learning)
        .buffer_unordered(width)
        .try_for_each(|()| async { Ok(()) })
        .await
        .map_err(|fault| anyhow!("tasks cannot be embedded: {fault}"))?;
    let judged = data.turns.iter().map(|turn| judge(classifier, turn));
    stream::iter(judged).buffered(width).try_collect().await
}

async fn judge(classifier: &dyn Classifier, turn: &Turn) -> anyhow::Result<Outcome> {
    let said = if turn.conversation.is_empty() {
        Some(Said { best: Label(None), probability: 1.0, none: 1.0 })
    } else {
        match classifier.classify(&turn.conversation, &turn.router, None).await {
            Ok(verdict) => Some(said(&turn.router, &verdict)),
            // A generative router may answer nonsense now and then; whatever else goes wrong ends the measurement.
            Err(Unclassified::Malformed(_)) => None,
            Err(fault) => return Err(anyhow!("line {} was not classified: {fault}", turn.line)),
        }
    };
    Ok(Outcome {
        line: turn.line,
        family: turn.family.clone(),
        text: shown(&turn.conversation),
        expected: turn.expected.clone(),
        said,
    })
}

fn said(router: &Router, verdict: &Verdict) -> Said {
    let best = classify::matched(verdict, 0.0).and_then(|index| {
        let probability = verdict.probabilities.get(index)?;
        Some((router.policies.get(index)?.task.name.clone(), *probability))
    });
    match best {
        Some((task, probability)) => {
            Said { best: Label(Some(task)), probability, none: verdict.none }
        }
        None => Said { best: Label(None), probability: verdict.none, none: verdict.none },
    }
}

/// The current turn on one line; of a long one its two ends.
fn shown(conversation: &Conversation) -> String {
    let current = conversation.turns.iter().rfind(|turn| turn.speaker == Speaker::User);
    let Some(turn) = current else { return "(no text)".to_owned() };
    let words = turn.text.split(|c: char| c.is_whitespace() || c.is_control());
    let line: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let line: Vec<char> = line.join(" ").chars().collect();
    if line.len() <= HEAD.saturating_add(TAIL) {
        return line.into_iter().collect();
    }
    let tail = line.len().saturating_sub(TAIL);
    let (head, tail) = (line.iter().take(HEAD), line.iter().skip(tail));
    format!("{} … {}", head.collect::<String>(), tail.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_on_one_line_with_both_ends() {
        assert_eq!(shown(&Conversation::from_text("a\n\tb \u{7} c")), "a b c");
        assert_eq!(shown(&Conversation::from_text(" ")), "(no text)");
        let long = shown(&Conversation::from_text(&format!("first {} last", "é ".repeat(90_000))));
        assert!(long.starts_with("first é") && long.ends_with("é last"), "{long}");
        assert_eq!(long.chars().count(), HEAD + TAIL + 3);
    }
}
