//! Reads server-sent events from bytes.
//!
//! Pure. A line may end with CRLF, LF or CR and may be cut anywhere, also inside a character.
//! Invariants: an event is dispatched at its blank line and dropped without one; what is buffered
//! never exceeds the limit.

use memchr::memchr2;

/// Longer field names are unknown ones (bytes).
const FIELD_BYTES_MAX: usize = 8;
/// The limit of an `id` and of an event's name (bytes).
const SHORT_BYTES_MAX: usize = 4096;
/// The longest `retry` that is read (digits).
const RETRY_DIGITS_MAX: usize = 12;

/// One event with data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// `message` if the server named none.
    pub name: Vec<u8>,
    /// The data lines, joined by LF.
    pub data: Vec<u8>,
}

/// An event is longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTooLong;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinePart {
    /// In the name of the field.
    Name,
    /// After the colon.
    Blank,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventField {
    Data,
    Event,
    Id,
    Retry,
    Unknown,
}

/// Takes the stream in pieces.
#[derive(Debug)]
pub struct SseReader {
    limit: usize,
    part: LinePart,
    name: Vec<u8>,
    field: EventField,
    /// The value of any field but `data`.
    value: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    event: Vec<u8>,
    /// The ID of the event that is being read.
    new_id: Option<Vec<u8>>,
    last_id: Option<Vec<u8>>,
    retry: Option<u64>,
    /// The last byte was a CR, whose LF may follow.
    after_cr: bool,
    /// How many bytes of the byte order mark were seen; `None` once it can no longer follow.
    bom: Option<usize>,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl SseReader {
    /// `limit` is that of one event (bytes).
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            part: LinePart::Name,
            name: Vec::new(),
            field: EventField::Unknown,
            value: Vec::new(),
            data: Vec::new(),
            has_data: false,
            event: Vec::new(),
            new_id: None,
            last_id: None,
            retry: None,
            after_cr: false,
            bom: Some(0),
        }
    }

    /// The ID of the last event that was dispatched, also of one without data.
    pub fn last_id(&self) -> Option<&[u8]> {
        self.last_id.as_deref().filter(|id| !id.is_empty())
    }

    /// The server's wish for the time before the next connection (milliseconds).
    pub const fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The size of the event so far (bytes).
    pub const fn buffered(&self) -> usize {
        self.data.len()
    }

    /// Takes bytes from the front of `input` up to the end of the next event with data.
    ///
    /// # Errors
    /// The event is longer than the limit.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<SseEvent>, EventTooLong> {
        self.skip_bom(input);
        while let Some((&byte, rest)) = input.split_first() {
            // Also a line without a value adds a byte.
            if self.data.len() > self.limit {
                return Err(EventTooLong);
            }
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                *input = rest;
                continue;
            }
            if matches!(byte, b'\r' | b'\n') {
                self.after_cr = byte == b'\r';
                *input = rest;
                if let Some(event) = self.end_line() {
                    return Ok(Some(event));
                }
                continue;
            }
            self.inside(byte, input)?;
        }
        Ok(None)
    }

    fn skip_bom(&mut self, input: &mut &[u8]) {
        while let (Some(seen), Some((&byte, rest))) = (self.bom, input.split_first()) {
            if BOM.get(seen) == Some(&byte) {
                *input = rest;
                self.bom = Some(seen + 1).filter(|seen| *seen < BOM.len());
            } else {
                // A mark that was begun and not finished is the start of an unknown field.
                self.name.extend(BOM.iter().take(seen));
                self.bom = None;
            }
        }
    }

    /// Takes the bytes of the line up to its end or the next part of it.
    fn inside(&mut self, byte: u8, input: &mut &[u8]) -> Result<(), EventTooLong> {
        let (used, rest) = match self.part {
            LinePart::Name => {
                if byte == b':' {
                    self.begin_value();
                    self.part = LinePart::Blank;
                } else if self.name.len() <= FIELD_BYTES_MAX {
                    self.name.push(byte);
                }
                input.split_at(1)
            }
            LinePart::Blank => {
                self.part = LinePart::Value;
                input.split_at(usize::from(byte == b' '))
            }
            LinePart::Value => {
                let end = memchr2(b'\r', b'\n', input).unwrap_or(input.len());
                let (value, rest) = input.split_at(end);
                self.take_value(value)?;
                (value, rest)
            }
        };
        debug_assert!(used.len() + rest.len() == input.len());
        *input = rest;
        Ok(())
    }

    fn begin_value(&mut self) {
        self.field = match self.name.as_slice() {
            b"data" => EventField::Data,
            b"event" => EventField::Event,
            b"id" => EventField::Id,
            b"retry" => EventField::Retry,
            _ => EventField::Unknown,
        };
        self.value.clear();
        if self.field == EventField::Data {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
        }
    }

    fn take_value(&mut self, bytes: &[u8]) -> Result<(), EventTooLong> {
        match self.field {
            EventField::Data => {
                if self.data.len() + bytes.len() > self.limit {
                    return Err(EventTooLong);
                }
                self.data.extend_from_slice(bytes);
            }
            EventField::Unknown => {}
            _ => {
                // One byte more than is allowed, which shows that the value was cut.
                let room = (SHORT_BYTES_MAX + 1).saturating_sub(self.value.len());
                self.value.extend(bytes.iter().take(room));
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        if self.part == LinePart::Name {
            if self.name.is_empty() {
                return self.dispatch();
            }
            // A field without a colon has an empty value.
            self.begin_value();
        }
        let value = std::mem::take(&mut self.value);
        let fits = value.len() <= SHORT_BYTES_MAX;
        match self.field {
            EventField::Event if fits => self.event = value,
            EventField::Id if fits && !value.contains(&0) => self.new_id = Some(value),
            EventField::Retry if value.len() <= RETRY_DIGITS_MAX => {
                let digits = value.iter().all(u8::is_ascii_digit);
                let text = std::str::from_utf8(&value).ok().filter(|_| digits);
                self.retry = text.and_then(|text| text.parse().ok()).or(self.retry);
            }
            _ => {}
        }
        self.name.clear();
        self.part = LinePart::Name;
        None
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        if let Some(id) = self.new_id.take() {
            self.last_id = Some(id);
        }
        let name = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        self.has_data = false;
        let name = if name.is_empty() {
            b"message".to_vec()
        } else {
            name
        };
        (!data.is_empty()).then_some(SseEvent { name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

    fn read_in(pieces: &[&[u8]]) -> (Vec<SseEvent>, Option<Vec<u8>>, Option<u64>) {
        let mut reader = SseReader::new(1 << 20);
        let mut events = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(event) = reader.next(&mut piece).unwrap() {
                events.push(event);
            }
        }
        (events, reader.last_id().map(<[u8]>::to_vec), reader.retry())
    }

    fn message(data: &str) -> SseEvent {
        SseEvent {
            name: b"message".to_vec(),
            data: data.as_bytes().to_vec(),
        }
    }

    #[test]
    fn events_of_all_spellings() {
        for (text, expected) in [
            ("data: a\n\n", vec![message("a")]),
            ("data: a\r\n\r\n", vec![message("a")]),
            ("data: a\r\r", vec![message("a")]),
            ("\u{feff}data:a\n\n", vec![message("a")]),
            ("data:  a\n\n", vec![message(" a")]),
            ("data: a\ndata: b\n\n", vec![message("a\nb")]),
            ("data: a\ndata\ndata:\n\n", vec![message("a\n\n")]),
            (": comment\n\ndata: a\n\n", vec![message("a")]),
            ("id: 1\ndata:\n\ndata: a\n\n", vec![message("a")]),
            ("data: a\n", vec![]),
            ("event:message\ndata: a\n\n", vec![message("a")]),
            ("datas: a\ndat: a\n\n", vec![]),
            ("data: é\n\n", vec![message("é")]),
        ] {
            assert_eq!(read_in(&[text.as_bytes()]).0, expected, "{text:?}");
        }
        let (events, _, _) = read_in(&[b"event: endpoint\ndata: /x\n\ndata: b\n\n"]);
        assert_eq!(events[0].name, b"endpoint");
        assert_eq!(events[1], message("b"));
    }

    #[test]
    fn ids_and_retry_count_without_data() {
        let (events, id, retry) = read_in(&[b"id: 7\nretry: 250\ndata:\n\nid: 8\ndata: cut"]);
        assert_eq!(events, []);
        // The second event is not complete.
        assert_eq!((id.as_deref(), retry), (Some(&b"7"[..]), Some(250)));
        assert_eq!(read_in(&[b"retry: 1x\nid: a\0b\n\n"]).1, None);
        assert_eq!(read_in(&[b"id: 1\n\nid\n\n"]).1, None);
    }

    #[test]
    fn an_event_has_a_limit() {
        let mut reader = SseReader::new(8);
        assert_eq!(
            reader.next(&mut &b"data: 12345678\n\n"[..]),
            Ok(Some(message("12345678")))
        );
        assert_eq!(reader.next(&mut &b"data: 123456789"[..]), Err(EventTooLong));
        let mut reader = SseReader::new(8);
        for _ in 0..100_000 {
            assert_eq!(reader.next(&mut &b"abcdef"[..]), Ok(None));
        }
        assert!(reader.name.len() < 16);
        let empty = b"data:\n".repeat(10);
        assert_eq!(
            SseReader::new(8).next(&mut empty.as_slice()),
            Err(EventTooLong)
        );
    }

    fn line() -> impl Strategy<Value = String> {
        let field = prop_oneof!["data", "id", "event", "retry", "", "x", "\u{feff}data"];
        let value = "(|:|: ?[0-9a-zé]{0,6})";
        let end = prop_oneof!["\n", "\r\n", "\r"];
        (field, value, end).prop_map(|(field, value, end)| format!("{field}{value}{end}"))
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            lines in vec(line(), 0..24), cuts in vec(any::<prop::sample::Index>(), 0..12)
        ) {
            let text = lines.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            let each: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = read_in(&[bytes]);
            prop_assert_eq!(&read_in(&pieces), &whole);
            prop_assert_eq!(&read_in(&each), &whole);
        }
    }
}
