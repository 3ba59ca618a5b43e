//! Chance that can be repeated: the same seed gives the same case.

/// What a case is made with.
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    /// Dice of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// A number below `end`, which is above 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Small numbers often, large ones seldom: from 1.
    pub(crate) fn few(&mut self) -> usize {
        let mut count = 1;
        while count < 64 && self.once_in(2) {
            count += self.few_more();
        }
        count
    }

    fn few_more(&mut self) -> usize {
        1 + self.below(2)
    }

    /// Any number.
    pub(crate) fn number(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A part of `0..length`, short more often than long.
    pub(crate) fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let longest = length - start;
        let wanted = if self.once_in(8) { longest } else { self.few().pow(2) };
        start..start + wanted.min(longest)
    }

    /// Bytes of noise.
    pub(crate) fn noise(&mut self, longest: usize) -> Vec<u8> {
        let length = self.below(longest + 1);
        (0..length).map(|_| self.0.u8(..)).collect()
    }
}
