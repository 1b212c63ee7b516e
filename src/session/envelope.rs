//! The envelope of a JSON-RPC line: its ID, its method, whether it is an answer.
//!
//! The scanner takes a line in pieces, so a line of 100 MB needs no more memory than a short one.
//! It reads every top-level member in any order (SDKs write `id` last) and nothing deeper, and
//! changes no byte. It checks the structure (quotes, braces, trailing bytes), not the full grammar:
//! `{"a":tru}` passes.

use memchr::memchr2;

/// Longer IDs, methods and keys are ignored (bytes).
const TOKEN_BYTES_MAX: usize = 512;

/// The members of a JSON-RPC message, as they are written.
const MEMBERS: &[&[u8]] = &[
    br#""jsonrpc""#,
    br#""id""#,
    br#""method""#,
    br#""params""#,
    br#""result""#,
    br#""error""#,
];

/// The kind of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// One JSON object, closed.
    Object,
    /// One JSON array, closed: a batch (MCP before revision 2025-06-18).
    Array,
    /// Only white space.
    Blank,
    /// Anything else.
    Other,
}

/// An ID as written: `7`, `"7"`. IDs are equal if their bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Box<[u8]>);

impl Id {
    pub fn new(raw: &[u8]) -> Self {
        Self(raw.into())
    }

    /// A string ID, quoted.
    pub fn text(text: &str) -> Self {
        Self(
            serde_json::Value::from(text)
                .to_string()
                .into_bytes()
                .into(),
        )
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("null")
    }
}

/// The top level of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub shape: LineKind,
    /// `None` if missing or `null`.
    pub id: Option<Id>,
    /// The offset of the ID in the line (bytes).
    pub id_at: usize,
    pub method: Option<String>,
    pub has_result: bool,
    pub has_error: bool,
    /// It has `"jsonrpc": "2.0"`, and a member that only a message has.
    pub is_message: bool,
}

impl Envelope {
    /// The ID and method, if it is a request.
    pub fn request(&self) -> Option<(&Id, &str)> {
        Some((self.id.as_ref()?, self.method.as_deref()?))
    }

    pub fn notification(&self) -> Option<&str> {
        self.id.is_none().then_some(self.method.as_deref()?)
    }

    /// The ID of the request that this answers.
    pub fn answer(&self) -> Option<&Id> {
        (self.method.is_none() && (self.has_result || self.has_error)).then_some(self.id.as_ref()?)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScanState {
    /// Before the first byte that is not white space.
    Before,
    /// At the top level of an object, before a key or the end.
    Key,
    /// After a key.
    Colon,
    /// Before a top-level value.
    Value,
    /// Inside or after a top-level value, up to the comma.
    Inside,
    /// Inside an array, at any depth.
    Array,
    /// After the end.
    After,
    /// Not JSON.
    Broken,
}

/// Takes a line in pieces and returns its envelope.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one line"
)]
#[derive(Clone, Debug)]
pub struct Scanner {
    place: ScanState,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Bytes of the line so far.
    at: usize,
    array: bool,
    token: Vec<u8>,
    key: Vec<u8>,
    capturing: bool,
    value_at: usize,
    id: Option<Id>,
    id_at: usize,
    method: Option<String>,
    has_result: bool,
    has_error: bool,
    has_method: bool,
    has_version: bool,
    /// The first key is one that no message has.
    is_foreign: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            place: ScanState::Before,
            depth: 0,
            in_string: false,
            escaped: false,
            at: 0,
            array: false,
            token: Vec::new(),
            key: Vec::new(),
            capturing: false,
            value_at: 0,
            id: None,
            id_at: 0,
            method: None,
            has_result: false,
            has_error: false,
            has_method: false,
            has_version: false,
            is_foreign: false,
        }
    }
}

impl Scanner {
    /// The envelope of a whole line, with or without its newline.
    pub fn scan(line: &[u8]) -> Envelope {
        let mut scanner = Self::default();
        scanner.feed(line);
        scanner.finish()
    }

    /// Whether the line so far can still be a message (not a batch). Members come in any order, so only
    /// the first one is judged.
    pub fn may_be_message(&self) -> bool {
        !self.array
            && !self.is_foreign
            && !matches!(self.place, ScanState::Before | ScanState::Broken)
    }

    /// Takes the next bytes of the line.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            if self.in_string {
                let used = self.in_string(rest);
                rest = rest.get(used..).unwrap_or_default();
                self.at += used;
            } else {
                self.structural(byte);
                self.at += 1;
                rest = tail;
            }
        }
    }

    /// Returns the envelope and resets the scanner.
    pub fn finish(&mut self) -> Envelope {
        let line = std::mem::take(self);
        let shape = match line.place {
            ScanState::After if line.array => LineKind::Array,
            ScanState::After => LineKind::Object,
            ScanState::Before => LineKind::Blank,
            _ => LineKind::Other,
        };
        Envelope {
            shape,
            id: line.id,
            id_at: line.id_at,
            method: line.method,
            has_result: line.has_result,
            has_error: line.has_error,
            is_message: line.has_version && (line.has_method || line.has_result || line.has_error),
        }
    }

    /// Skips bytes inside a string up to the next quote or backslash.
    fn in_string(&mut self, bytes: &[u8]) -> usize {
        if self.escaped {
            self.escaped = false;
            self.capture(bytes.get(..1).unwrap_or_default());
            return 1;
        }
        let used = match memchr2(b'"', b'\\', bytes) {
            None => bytes.len(),
            Some(end) => {
                if bytes.get(end) == Some(&b'"') {
                    self.in_string = false;
                } else {
                    self.escaped = true;
                }
                end + 1
            }
        };
        self.capture(bytes.get(..used).unwrap_or_default());
        if !self.in_string && self.place == ScanState::Colon {
            let is_first = self.key.is_empty();
            self.key = std::mem::take(&mut self.token);
            self.is_foreign |= is_first && !MEMBERS.contains(&self.key.as_slice());
            self.capturing = false;
        }
        used
    }

    fn capture(&mut self, bytes: &[u8]) {
        if self.capturing && self.token.len() <= TOKEN_BYTES_MAX {
            let room = TOKEN_BYTES_MAX + 1 - self.token.len();
            self.token.extend(bytes.iter().take(room));
        }
    }

    fn structural(&mut self, byte: u8) {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return;
        }
        match self.place {
            ScanState::Inside | ScanState::Array => self.nested(byte),
            ScanState::Before => self.start(byte),
            ScanState::Key => match byte {
                b'"' => {
                    self.begin_string();
                    self.token.clear();
                    self.token.push(byte);
                    self.capturing = true;
                    self.place = ScanState::Colon;
                }
                b'}' => self.place = ScanState::After,
                b',' => {}
                _ => self.place = ScanState::Broken,
            },
            ScanState::Colon => {
                self.place = if byte == b':' {
                    ScanState::Value
                } else {
                    ScanState::Broken
                };
            }
            ScanState::Value => {
                self.value_at = self.at;
                self.token.clear();
                self.capturing = matches!(
                    self.key.as_slice(),
                    br#""id""# | br#""method""# | br#""jsonrpc""#
                );
                self.place = ScanState::Inside;
                self.nested(byte);
            }
            ScanState::After => self.place = ScanState::Broken,
            ScanState::Broken => {}
        }
    }

    fn start(&mut self, byte: u8) {
        self.place = match byte {
            b'{' => ScanState::Key,
            b'[' => {
                self.array = true;
                self.depth = 1;
                ScanState::Array
            }
            _ => ScanState::Broken,
        };
    }

    fn nested(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.begin_string();
                self.capture(b"\"");
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.capture(&[byte]);
            }
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                self.capture(&[byte]);
                if self.array && self.depth == 0 {
                    self.place = ScanState::After;
                }
            }
            b'}' => {
                self.end_value();
                self.place = ScanState::After;
            }
            b']' => self.place = ScanState::Broken,
            b',' if self.depth == 0 => {
                self.end_value();
                self.place = ScanState::Key;
            }
            _ => self.capture(&[byte]),
        }
    }

    const fn begin_string(&mut self) {
        self.in_string = true;
    }

    fn end_value(&mut self) {
        self.capturing = false;
        let fits = self.token.len() <= TOKEN_BYTES_MAX;
        match self.key.as_slice() {
            br#""id""# => {
                let known = fits && self.token != b"null";
                self.id = known.then(|| Id::new(&self.token));
                self.id_at = self.value_at;
            }
            br#""jsonrpc""# => self.has_version = self.token == br#""2.0""#,
            br#""method""# => {
                self.has_method = true;
                self.method = serde_json::from_slice(&self.token).ok().filter(|_| fits);
            }
            br#""result""# => self.has_result = true,
            br#""error""# => self.has_error = true,
            _ => {}
        }
    }
}
