//! YAML, read into the tree, one document per file.
//!
//! A file with anchors or aliases is refused, because a change in one place would change all uses.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::flow;
use super::tree::{FileFormat, Member, Members, Node, Refused, TreeValue, line_of};

/// No client nests deeper.
const DEPTH_MAX: usize = 64;

/// Parses a text.
pub(super) fn parse(text: &str) -> Result<Node, Refused> {
    parse_strict(text).or_else(|refused| match refused {
        Refused::Broken { .. } => parse_strict(&flow::joined(text)).map_err(|_| refused),
        other => Err(other),
    })
}

fn parse_strict(text: &str) -> Result<Node, Refused> {
    let mut reader = Reader {
        text,
        offsets: offsets(text),
        events: Parser::new_from_str(text),
    };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if root.is_some() => return Err(reader.shared(&span)),
            event => root = Some(reader.node(event, &span, 0)?),
        }
    }
    Ok(root.unwrap_or(Node {
        span: 0..0,
        value: TreeValue::Map(Members::default()),
    }))
}

struct Reader<'a> {
    text: &'a str,
    /// The byte offset of each character, since the parser counts characters. Empty for ASCII.
    offsets: Vec<usize>,
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
}

fn offsets(text: &str) -> Vec<usize> {
    if text.is_ascii() {
        return Vec::new();
    }
    text.char_indices()
        .map(|(at, _)| at)
        .chain(Some(text.len()))
        .collect()
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Refused> {
        match self.events.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(Refused::Broken {
                format: FileFormat::Yaml,
                line: error.marker().line(),
            }),
            None => Err(Refused::Broken {
                format: FileFormat::Yaml,
                line: line_of(self.text, self.text.len()),
            }),
        }
    }

    fn byte(&self, index: usize) -> usize {
        if self.offsets.is_empty() {
            return index.min(self.text.len());
        }
        self.offsets.get(index).copied().unwrap_or(self.text.len())
    }

    fn broken(&self, span: &Span) -> Refused {
        Refused::Broken {
            format: FileFormat::Yaml,
            line: line_of(self.text, self.byte(span.start.index())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Refused> {
        if depth > DEPTH_MAX {
            return Err(self.broken(span));
        }
        let start = self.byte(span.start.index());
        match event {
            Event::Scalar(value, style, 0, tag) => {
                let end = self.byte(span.end.index()).max(start);
                let raw = self.text.get(start..end).unwrap_or_default();
                let end = start + raw.trim_end().len();
                let plain = style == ScalarStyle::Plain && is_other(&value);
                let value = if plain || tag.is_some() {
                    TreeValue::Other
                } else {
                    TreeValue::Text(value.into_owned())
                };
                Ok(Node {
                    span: start..end,
                    value,
                })
            }
            Event::SequenceStart(0, _) => self.sequence(start, depth),
            Event::MappingStart(0, _) => self.mapping(start, depth),
            _ => Err(self.shared(span)),
        }
    }

    fn shared(&self, span: &Span) -> Refused {
        Refused::Shared {
            line: line_of(self.text, self.byte(span.start.index())),
        }
    }

    fn sequence(&mut self, start: usize, depth: usize) -> Result<Node, Refused> {
        let flow = self.text.as_bytes().get(start) == Some(&b'[');
        let mut list: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let end = if flow {
                    self.byte(span.end.index())
                } else {
                    list.last().map_or(start, |n| n.span.end)
                };
                let first = if flow {
                    start
                } else {
                    list.first().map_or(start, |n| n.span.start)
                };
                return Ok(Node {
                    span: first..end,
                    value: TreeValue::List(list),
                });
            }
            list.push(self.node(event, &span, depth + 1)?);
        }
    }

    fn mapping(&mut self, start: usize, depth: usize) -> Result<Node, Refused> {
        let flow = self.text.as_bytes().get(start) == Some(&b'{');
        let mut map: Vec<Member> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    let end = if flow {
                        self.byte(span.end.index())
                    } else {
                        map.last().map_or(start, |m| m.node.span.end)
                    };
                    let first = if flow {
                        start
                    } else {
                        map.first().map_or(start, |m| m.key_span.start)
                    };
                    return Ok(Node {
                        span: first..end,
                        value: TreeValue::Map(map.into()),
                    });
                }
                Event::Scalar(ref key, _, 0, _) => key.to_string(),
                _ => return Err(self.shared(&span)),
            };
            let key_span = self.byte(span.start.index())..self.byte(span.end.index());
            if map.iter().any(|member| member.key == key) {
                return Err(Refused::Duplicate {
                    line: line_of(self.text, key_span.start),
                });
            }
            let (event, span) = self.next()?;
            let mut node = self.node(event, &span, depth + 1)?;
            if node.span.is_empty() && node.span.start < key_span.end {
                node.span = key_span.end..key_span.end;
            }
            map.push(Member {
                key,
                key_span,
                node,
            });
        }
    }
}

/// Whether a plain scalar is a number, a boolean or null.
fn is_other(text: &str) -> bool {
    matches!(
        text,
        "" | "~"
            | "null"
            | "Null"
            | "NULL"
            | "true"
            | "True"
            | "TRUE"
            | "false"
            | "False"
            | "FALSE"
    ) || (text.parse::<f64>().is_ok() && text.bytes().any(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_flows() {
        let text =
            "é: 1\nx:\n  args:\n    - -y\n    - \"b c\"\n  env: {A: b}\n  n:\nlast: word # c\n";
        let root = parse(text).unwrap();
        let x = root.get("x").unwrap();
        assert_eq!(
            &text[x.get("args").unwrap().span.clone()],
            "-y\n    - \"b c\""
        );
        assert_eq!(&text[x.get("env").unwrap().span.clone()], "{A: b}");
        assert_eq!(&text[root.get("last").unwrap().span.clone()], "word");
        assert_eq!(root.get("last").unwrap().text(), Some("word"));
    }

    #[test]
    fn refused() {
        assert!(matches!(
            parse("a: 1\na: 2\n").unwrap_err(),
            Refused::Duplicate { line: 2 }
        ));
        for bad in ["a: [\n", "a: b: c\n"] {
            assert!(
                matches!(parse(bad).unwrap_err(), Refused::Broken { .. }),
                "{bad}"
            );
        }
        for bad in ["a: &x {b: 1}\nc: *x\n", "--- 1\n--- 2\n", "? [a]\n: b\n"] {
            assert!(
                matches!(parse(bad).unwrap_err(), Refused::Shared { .. }),
                "{bad}"
            );
        }
    }
}
