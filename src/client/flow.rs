//! YAML whose flow lists end at the indent of their key.
//!
//! YAML 1.2 wants the closing bracket deeper, but the parsers that clients use read it. Line ends and
//! comments within brackets become spaces, so that every other byte stays where it is.

/// The text with each bracketed value on one line.
pub(super) fn joined(text: &str) -> String {
    let mut out = text.as_bytes().to_vec();
    let mut walk = FlowWalk::default();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let length = line.len();
        if let Some(bytes) = out.get_mut(at..at + length) {
            walk.line(bytes);
        }
        at += length;
    }
    // Only whole comments and ASCII bytes were replaced.
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[derive(Default)]
struct FlowWalk {
    depth: usize,
    quote: Option<u8>,
    /// The indent of the line that began a block text; deeper lines belong to it.
    block: Option<usize>,
}

impl FlowWalk {
    fn line(&mut self, line: &mut [u8]) {
        let indent = line.iter().take_while(|b| **b == b' ').count();
        let blank = line.iter().all(u8::is_ascii_whitespace);
        if let Some(block) = self.block {
            if blank || indent > block {
                return;
            }
            self.block = None;
        }
        let mut starts = true;
        let mut last = b' ';
        let mut n = 0;
        while let Some(&byte) = line.get(n) {
            let next = line.get(n + 1).copied().unwrap_or(b'\n');
            if let Some(quote) = self.quote {
                if byte == b'\\' && quote == b'"' {
                    n += 1;
                } else if byte == quote {
                    self.quote = None;
                }
            } else if byte == b'#' && last.is_ascii_whitespace() {
                if self.depth > 0 {
                    line.iter_mut().skip(n).for_each(|b| *b = b' ');
                }
                break;
            } else if matches!(byte, b'"' | b'\'') && starts {
                self.quote = Some(byte);
                starts = false;
            } else if matches!(byte, b'[' | b'{') && (starts || self.depth > 0) {
                self.depth += 1;
                starts = true;
            } else if matches!(byte, b']' | b'}') && self.depth > 0 {
                self.depth -= 1;
                starts = false;
            } else if self.depth == 0 && starts && matches!(byte, b'|' | b'>') {
                self.block = Some(indent);
                break;
            } else if byte == b',' && self.depth > 0
                || matches!(byte, b':' | b'-') && next.is_ascii_whitespace()
            {
                starts = true;
            } else if !byte.is_ascii_whitespace() {
                starts = false;
            }
            last = byte;
            n += 1;
        }
        if self.depth > 0 {
            let ends = line
                .iter_mut()
                .rev()
                .take_while(|b| matches!(**b, b'\n' | b'\r'));
            ends.for_each(|b| *b = b' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_end_anywhere() {
        for (text, expected) in [
            ("a: [\n  b, # é\n]\nc: 1\n", "a: [   b,      ]\nc: 1\n"),
            ("a: {\r\n b: '['\r\n}\r\n", "a: {   b: '['  }\r\n"),
            ("a: |\n  [x\n   y\nb: x [y\n", "a: |\n  [x\n   y\nb: x [y\n"),
            ("- [1,\n2]\n", "- [1, 2]\n"),
        ] {
            assert_eq!(joined(text), expected);
            assert_eq!(joined(text).len(), text.len());
        }
    }
}
