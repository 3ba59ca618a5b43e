//! The pieces of the vocabulary, and how a word is split into them.
//!
//! The vocabulary has 250,002 pieces. As a trie of hash maps it takes a quarter of a gigabyte, as `pieces.bin` has it
//! seven megabytes: nodes in breadth order, so that the children of a node lie side by side and end where those of the
//! next node begin. `router-models/export/pieces.py` writes it and describes its bytes.
//!
//! The split is the one of the unigram model of `SentencePiece`: of all ways to write a word as pieces the one with the
//! highest sum of scores. Golden tokens made by the published tokenizer hold this to the letter.

use std::path::Path;

use crate::classifier::{
    ClassifierFault,
    onnx::manifest::{fault, read_file},
};

/// The piece of what no piece covers.
const UNKNOWN: u32 = 3;
/// How much worse than the worst piece an unknown character is.
const UNKNOWN_PENALTY: f64 = 10.0;
/// A node at which no piece ends.
const NO_PIECE: u32 = 0xFF_FFFF;

/// The vocabulary.
pub(super) struct Pieces {
    /// For each node, and one more, the index of its first child.
    first: Vec<u32>,
    /// For each node its byte, and above it the piece that ends there.
    words: Vec<u32>,
    /// For each piece its score.
    scores: Vec<f32>,
    unknown_score: f64,
}

/// The best way to write a word up to some byte.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    from: usize,
    piece: u32,
}

impl Pieces {
    /// Reads `pieces.bin`.
    pub(super) fn load(path: &Path) -> Result<Self, ClassifierFault> {
        let bytes = read_file(path)?;
        Self::parse(&bytes).ok_or_else(|| fault(path, "is not a vocabulary".to_owned()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = bytes.as_chunks::<4>() else { return None };
        let mut numbers = numbers.iter().map(|number| u32::from_le_bytes(*number));
        let nodes = usize::try_from(numbers.next()?).ok()?;
        let pieces = usize::try_from(numbers.next()?).ok()?;
        let first: Vec<u32> = numbers.by_ref().take(nodes.checked_add(1)?).collect();
        let words: Vec<u32> = numbers.by_ref().take(nodes).collect();
        let scores: Vec<f32> = numbers.map(f32::from_bits).collect();
        let sound = first.is_sorted()
            && first.len() == nodes.checked_add(1)?
            && words.len() == nodes
            && scores.len() == pieces
            && first.last().is_some_and(|last| usize::try_from(*last) == Ok(nodes))
            && scores.iter().all(|score| score.is_finite());
        let worst = scores.iter().copied().fold(f32::INFINITY, f32::min);
        let unknown_score = f64::from(worst) - UNKNOWN_PENALTY;
        sound.then_some(Self { first, words, scores, unknown_score })
    }

    /// Appends the pieces of `word`.
    pub(super) fn split(&self, word: &str, ids: &mut Vec<u32>) {
        let mut best: Vec<Option<Best>> = vec![None; word.len().saturating_add(1)];
        for (from, character) in word.char_indices() {
            let so_far = match best.get(from) {
                Some(Some(best)) => best.score,
                Some(None) | None => 0.0,
            };
            let single = from.saturating_add(character.len_utf8());
            let mut covered = false;
            self.each_piece(word.as_bytes().get(from..).unwrap_or_default(), |length, piece| {
                let end = from.saturating_add(length);
                covered |= end == single;
                let score = self.score(piece) + so_far;
                offer(&mut best, end, Best { score, from, piece });
            });
            if !covered {
                let score = self.unknown_score + so_far;
                offer(&mut best, single, Best { score, from, piece: UNKNOWN });
            }
        }
        backtrack(&best, word.len(), ids);
    }

    /// Every piece that `bytes` begins with, the shortest first, with its length.
    fn each_piece(&self, bytes: &[u8], mut found: impl FnMut(usize, u32)) {
        let mut node = 0;
        for (index, byte) in bytes.iter().enumerate() {
            let Some((child, piece)) = self.child(node, *byte) else { return };
            if piece != NO_PIECE {
                found(index.saturating_add(1), piece);
            }
            node = child;
        }
    }

    fn child(&self, node: usize, byte: u8) -> Option<(usize, u32)> {
        let from = usize::try_from(*self.first.get(node)?).ok()?;
        let to = usize::try_from(*self.first.get(node.checked_add(1)?)?).ok()?;
        let children = self.words.get(from..to)?;
        let at = children.binary_search_by_key(&u32::from(byte), |word| word & 0xFF).ok()?;
        Some((from.checked_add(at)?, children.get(at)? >> 8))
    }

    fn score(&self, piece: u32) -> f64 {
        let score = usize::try_from(piece).ok().and_then(|piece| self.scores.get(piece));
        score.copied().map_or(self.unknown_score, f64::from)
    }
}

fn offer(best: &mut [Option<Best>], end: usize, offered: Best) {
    if let Some(known) = best.get_mut(end)
        && known.is_none_or(|known| offered.score > known.score)
    {
        *known = Some(offered);
    }
}

/// Walks back along the best way; unknown characters side by side are one piece.
fn backtrack(best: &[Option<Best>], mut end: usize, ids: &mut Vec<u32>) {
    let begin = ids.len();
    let mut unknown = false;
    while end > 0 {
        let Some(Some(step)) = best.get(end) else { break };
        if !(unknown && step.piece == UNKNOWN) {
            ids.push(step.piece);
        }
        unknown = step.piece == UNKNOWN;
        end = step.from;
    }
    if let Some(added) = ids.get_mut(begin..) {
        added.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// a, b, ab, é.
    fn pieces() -> Pieces {
        let node = |piece: u32, byte: u8| piece << 8 | u32::from(byte);
        Pieces {
            first: vec![1, 4, 5, 5, 6, 6],
            words: vec![
                node(NO_PIECE, 0),
                node(4, b'a'),
                node(5, b'b'),
                node(NO_PIECE, 0xC3),
                node(6, b'b'),
                node(7, 0xA9),
            ],
            scores: vec![0.0, 0.0, 0.0, 0.0, -2.0, -2.0, -3.0, -1.0],
            unknown_score: -20.0,
        }
    }

    fn split(word: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        pieces().split(word, &mut ids);
        ids
    }

    #[test]
    fn a_word_becomes_its_most_probable_pieces() {
        assert_eq!(split("ab"), [6]);
        assert_eq!(split("ba"), [5, 4]);
        assert_eq!(split("aé"), [4, 7]);
        assert_eq!(split(""), [0; 0]);
    }

    #[test]
    fn what_is_unknown_is_one_piece() {
        assert_eq!(split("xyb"), [UNKNOWN, 5]);
        assert_eq!(split("bè中a"), [5, UNKNOWN, 4]);
    }

    #[test]
    fn a_file_that_is_no_vocabulary_is_refused() {
        for bytes in [&b""[..], b"123", &[0; 8], &[255; 64]] {
            assert!(Pieces::parse(bytes).is_none());
        }
    }
}
