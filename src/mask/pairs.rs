//! Which pairs of bytes the forms contain: what the end of a piece may be the beginning of.

/// One bit for each pair and one flag for each byte.
pub(super) struct PairSet {
    pairs: Vec<u64>,
    bytes: [bool; 256],
}

impl Default for PairSet {
    fn default() -> Self {
        Self {
            pairs: vec![0; (1 << 16) / 64],
            bytes: [false; 256],
        }
    }
}

impl PairSet {
    pub(super) fn add(&mut self, form: &[u8]) {
        for pair in form.windows(2) {
            let (word, bit) = place(pair.first(), pair.last());
            if let Some(word) = self.pairs.get_mut(word) {
                *word |= bit;
            }
        }
        for byte in form {
            if let Some(known) = self.bytes.get_mut(usize::from(*byte)) {
                *known = true;
            }
        }
    }

    /// The start of a suffix of at most `most` bytes, outside of which no match begins that the end
    /// of the text cuts. It is found from the end, so clean text costs one or two steps.
    pub(super) fn tail(&self, text: &[u8], most: usize) -> usize {
        let known = |byte: &u8| self.bytes.get(usize::from(*byte)) == Some(&true);
        if !text.last().is_some_and(known) {
            return text.len();
        }
        let known = |pair: &&[u8]| {
            let (word, bit) = place(pair.first(), pair.last());
            self.pairs.get(word).is_some_and(|word| word & bit != 0)
        };
        let pairs = text.windows(2).rev().take(most.saturating_sub(1));
        text.len() - 1 - pairs.take_while(known).count()
    }
}

/// The word and the bit of a pair.
fn place(first: Option<&u8>, second: Option<&u8>) -> (usize, u64) {
    let byte = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or_default());
    let index = byte(first) << 8 | byte(second);
    (index / 64, 1 << (index % 64))
}
