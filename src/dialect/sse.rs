//! Server-sent events, as bytes: chunks go in as the network cut them, whole frames come out.
//!
//! A frame is what stands up to and including a blank line. It keeps its original bytes, so that it can be relayed as it
//! came, and knows where its data stands in them, so that a value can be replaced in place. The same bytes give the
//! same frames however they were cut. Nothing is decoded to text here: a character split across chunks is never seen.
//!
//! Line ends are `\r\n`, `\n`, `\r` or any mix. A `\r` at the very end of what has come may be half of a `\r\n`, so a blank
//! line that ends in it waits for the next byte, unless the line before it ended in a bare `\r` too; what follows is
//! then the next frame's, even a `\n`.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// The longest frame that is accepted unless told otherwise.
pub const MAX_FRAME: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A frame grew beyond the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {cap} bytes")]
pub struct Oversized {
    /// The cap, in bytes.
    pub cap: usize,
}

/// One event as it came, or a group of comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The value of the last `event` field.
    pub event: Option<Bytes>,
    /// The values of the `data` fields, joined by line feeds; `None` without one, as in a comment or a bare ping.
    pub data: Option<Bytes>,
    /// The original bytes with the blank line.
    pub raw: Bytes,
    /// Where each line of the data begins, in `data` and in `raw`.
    lines: Vec<(usize, usize)>,
}

impl Frame {
    /// Whether it carries no data: comments, a blank line, an `event`, `id` or `retry` alone.
    pub const fn is_comment(&self) -> bool {
        self.data.is_none()
    }

    /// Where the bytes `span` of the data stand in `raw`; nothing if they cross a line.
    pub fn place(&self, span: Range<usize>) -> Option<Range<usize>> {
        let next = self.lines.partition_point(|(data, _)| *data <= span.start);
        let (data, raw) = *self.lines.get(next.checked_sub(1)?)?;
        let ends = self.lines.get(next).map_or(usize::MAX, |(data, _)| data.saturating_sub(1));
        if span.end > ends {
            return None;
        }
        let start = raw.checked_add(span.start.checked_sub(data)?)?;
        let end = raw.checked_add(span.end.checked_sub(data)?)?;
        (end <= self.raw.len()).then_some(start..end)
    }
}

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    cap: usize,
    /// Everything before it has been searched for line ends.
    searched: usize,
    /// Where the line being read begins.
    line: usize,
    /// Whether no line of the stream has been read yet, so that a byte order mark may stand here.
    fresh: bool,
    /// Whether the line before ended in a bare `\r`.
    bare_return: bool,
    oversized: bool,
    fields: Fields,
}

/// What has been read of the frame at the front of the buffer.
#[derive(Debug, Default)]
struct Fields {
    event: Option<Range<usize>>,
    data: Vec<Range<usize>>,
}

/// What a line end at a known place means.
enum LineEnd {
    /// The line ends, and the next begins there.
    At { next: usize, bare_return: bool },
    /// The next byte decides.
    Unknown,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(MAX_FRAME)
    }
}

impl Decoder {
    /// A decoder of a new stream whose frames may have `cap` bytes.
    pub fn new(cap: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            cap,
            searched: 0,
            line: 0,
            fresh: true,
            bare_return: false,
            oversized: false,
            fields: Fields::default(),
        }
    }

    /// Takes the next bytes of the stream. Take every frame out before the next ones.
    pub fn push(&mut self, chunk: &[u8]) {
        if !self.oversized {
            self.buffer.extend_from_slice(chunk);
        }
    }

    /// The next whole frame, if there is one.
    #[expect(clippy::should_implement_trait, reason = "there may be a next one later")]
    pub fn next(&mut self) -> Result<Option<Frame>, Oversized> {
        while let Some((end, found)) = self.line_end() {
            let LineEnd::At { next, bare_return } = found else { break };
            if end == self.line {
                return self.take(next).map(Some);
            }
            self.read_line(end);
            self.line = next;
            self.searched = next;
            self.bare_return = bare_return;
        }
        self.check(self.buffer.len())?;
        Ok(None)
    }

    /// The last frame of a stream that ended cleanly without the blank line, which is added to its bytes.
    pub fn finish(&mut self) -> Result<Option<Frame>, Oversized> {
        if let Some(frame) = self.next()? {
            return Ok(Some(frame));
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let end = self.buffer.len();
        let waiting = self.searched < end;
        let line_end = if waiting { self.searched } else { end };
        let missing: &[u8] = if line_end > self.line {
            self.read_line(line_end);
            b"\n\n"
        } else if waiting {
            b""
        } else {
            b"\n"
        };
        self.buffer.extend_from_slice(missing);
        self.take(self.buffer.len()).map(Some)
    }

    /// Where the line being read ends, and how; nothing if it does not yet.
    fn line_end(&mut self) -> Option<(usize, LineEnd)> {
        let rest = self.buffer.get(self.searched..)?;
        let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
            self.searched = self.buffer.len();
            return None;
        };
        let end = self.searched.saturating_add(found);
        self.searched = end;
        let after = end.saturating_add(1);
        if self.buffer.get(end) == Some(&b'\n') {
            return Some((end, LineEnd::At { next: after, bare_return: false }));
        }
        let blank_after_bare = end == self.line && self.bare_return;
        Some((
            end,
            match self.buffer.get(after) {
                _ if blank_after_bare => LineEnd::At { next: after, bare_return: true },
                Some(b'\n') => LineEnd::At { next: after.saturating_add(1), bare_return: false },
                Some(_) => LineEnd::At { next: after, bare_return: true },
                None => LineEnd::Unknown,
            },
        ))
    }

    /// Reads the line from `self.line` to `end` as a field.
    fn read_line(&mut self, end: usize) {
        let mut start = self.line;
        let mut line = self.buffer.get(start..end).unwrap_or_default();
        if std::mem::take(&mut self.fresh)
            && let Some(marked) = line.strip_prefix(BYTE_ORDER_MARK)
        {
            start = start.saturating_add(BYTE_ORDER_MARK.len());
            line = marked;
        }
        let colon = memchr::memchr(b':', line);
        let (name, value) =
            line.split_at_checked(colon.unwrap_or(line.len())).unwrap_or((line, b""));
        let lead = match value {
            [b':', b' ', ..] => 2,
            [b':', ..] => 1,
            _ => 0,
        };
        let value = start.saturating_add(name.len()).saturating_add(lead)..end;
        match name {
            b"data" => self.fields.data.push(value),
            b"event" => self.fields.event = Some(value),
            _ => {}
        }
    }

    /// Takes the frame that ends at `end` off the buffer.
    fn take(&mut self, end: usize) -> Result<Frame, Oversized> {
        self.check(end)?;
        let raw = self.buffer.split_to(end).freeze();
        self.searched = 0;
        self.line = 0;
        self.fresh = false;
        self.bare_return = false;
        Ok(std::mem::take(&mut self.fields).frame(raw))
    }

    fn check(&mut self, length: usize) -> Result<(), Oversized> {
        if length > self.cap || self.oversized {
            self.oversized = true;
            self.buffer = BytesMut::new();
            self.searched = 0;
            self.line = 0;
            self.fields = Fields::default();
            return Err(Oversized { cap: self.cap });
        }
        Ok(())
    }
}

impl Fields {
    /// The frame that these fields are, out of its bytes.
    fn frame(self, raw: Bytes) -> Frame {
        let event = self.event.map(|span| slice(&raw, span));
        let mut lines = Vec::with_capacity(self.data.len());
        let data = match self.data.as_slice() {
            [] => None,
            [one] => {
                lines.push((0, one.start));
                Some(slice(&raw, one.clone()))
            }
            several => {
                let mut joined = Vec::new();
                for (number, span) in several.iter().enumerate() {
                    if number > 0 {
                        joined.push(b'\n');
                    }
                    lines.push((joined.len(), span.start));
                    joined.extend_from_slice(raw.get(span.clone()).unwrap_or_default());
                }
                Some(joined.into())
            }
        };
        Frame { event, data, raw, lines }
    }
}

fn slice(raw: &Bytes, span: Range<usize>) -> Bytes {
    if span.start <= span.end && span.end <= raw.len() { raw.slice(span) } else { Bytes::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every frame of `chunks`, the unfinished one included.
    fn frames(chunks: &[&[u8]]) -> Vec<Frame> {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(frame) = decoder.next().unwrap() {
                found.push(frame);
            }
        }
        found.extend(decoder.finish().unwrap());
        found
    }

    fn data(stream: &str) -> Vec<Option<String>> {
        let text = |data: Bytes| String::from_utf8(data.to_vec()).unwrap();
        frames(&[stream.as_bytes()]).into_iter().map(|frame| frame.data.map(text)).collect()
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn reads_what_the_standard_says() {
        let cases: &[(&str, &[&str])] = &[
            ("data: a\n\ndata: b\n\n", &["a", "b"]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            ("data: a\r\n\ndata: b\n\r\n", &["a", "b"]),
            ("data:a\n\ndata:  b\n\n", &["a", " b"]),
            ("data: a\ndata: b\ndata\n\n", &["a\nb\n"]),
            ("\u{feff}data: a\n\n", &["a"]),
            (": note\nid: 7\nretry: 10\ndata: a\nunknown: x\n\n", &["a"]),
            ("data: a\u{2028}b\u{85}c\n\n", &["a\u{2028}b\u{85}c"]),
            ("data: a: b\n\n", &["a: b"]),
            ("data:\n\n", &[""]),
            ("data: cut", &["cut"]),
            ("data: cut\n", &["cut"]),
            ("data: cut\r", &["cut"]),
            ("data: cut\r\n\r", &["cut"]),
        ];
        for (stream, expected) in cases {
            assert_eq!(data(stream), some(expected), "{stream:?}");
        }
    }

    #[test]
    fn frames_of_comments_carry_no_data() {
        let found = frames(&[b": ping\n\n\nevent: ping\n\ndata: x\n\n"]);
        let comments: Vec<bool> = found.iter().map(Frame::is_comment).collect();
        assert_eq!(comments, [true, true, true, false]);
        assert_eq!(found[2].event.as_deref(), Some(b"ping".as_slice()));
    }

    #[test]
    fn the_last_event_field_counts() {
        let found = frames(&[b"event: a\ndata: x\nevent:b\n\n"]);
        assert_eq!(found[0].event.as_deref(), Some(b"b".as_slice()));
    }

    #[test]
    fn a_frame_is_out_with_its_last_byte() {
        for end in ["\n", "\r\n", "\r"] {
            let mut decoder = Decoder::default();
            decoder.push(format!("event: a{end}data: b{end}{end}").as_bytes());
            let frame = decoder.next().unwrap().expect("a whole frame");
            assert_eq!(frame.data.as_deref(), Some(b"b".as_slice()), "{end:?}");
        }
    }

    #[test]
    fn an_unfinished_frame_is_completed() {
        for (stream, raw) in [
            ("data: a", "data: a\n\n"),
            ("data: a\n", "data: a\n\n"),
            ("data: a\r\n", "data: a\r\n\n"),
            ("data: a\r", "data: a\r\n\n"),
            ("data: a\r\n\r", "data: a\r\n\r"),
        ] {
            let found = frames(&[stream.as_bytes()]);
            assert_eq!(found[0].raw, raw.as_bytes(), "{stream:?}");
            assert_eq!(frames(&[raw.as_bytes()])[0].data, found[0].data);
        }
        assert!(frames(&[b"data: a\n\n"]).len() == 1);
    }

    #[test]
    fn a_place_in_the_data_is_found_in_the_bytes() {
        let found = frames(&[b"event: x\r\ndata: abc\r\n: note\r\ndata:defg\r\n\r\n"]);
        let frame = &found[0];
        assert_eq!(frame.data.as_deref(), Some(b"abc\ndefg".as_slice()));
        let at = |span| frame.place(span).map(|place| &frame.raw[place]);
        assert_eq!(at(0..3), Some(b"abc".as_slice()));
        assert_eq!(at(1..2), Some(b"b".as_slice()));
        assert_eq!(at(4..8), Some(b"defg".as_slice()));
        assert_eq!(at(2..5), None);
        assert_eq!(at(7..99), None);
    }

    #[test]
    fn a_frame_beyond_the_cap_is_refused_for_good() {
        let mut decoder = Decoder::new(16);
        decoder.push(b"data: 12345678\n\n");
        assert!(decoder.next().unwrap().is_some());
        decoder.push(b"data: 123456789\n\n");
        assert_eq!(decoder.next(), Err(Oversized { cap: 16 }));
        decoder.push(b"data: 1\n\n");
        assert_eq!(decoder.next(), Err(Oversized { cap: 16 }));
        assert_eq!(decoder.finish(), Err(Oversized { cap: 16 }));
        let mut endless = Decoder::new(16);
        endless.push(&[b'x'; 17]);
        assert!(endless.next().is_err());
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "data: ",
            "data:",
            "data",
            "event: a",
            "event",
            ": c",
            "id: 1",
            "\n",
            "\n",
            "\r",
            "\r\n",
            "\n\n",
            "\r\n\r\n",
            "\r\r",
            "x",
            "\u{feff}",
            "{\"a\":\"\u{1f600}\u{4e2d}\"}",
            "\u{2028}",
            ":",
            " ",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let whole = frames(&[&stream]);
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(&frames(&bytes), &whole);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len().saturating_add(1))).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(&frames(&chunks), &whole);
        }

        #[test]
        fn no_byte_is_lost(stream in stream()) {
            let joined: Vec<u8> = frames(&[&stream]).iter().flat_map(|frame| frame.raw.to_vec()).collect();
            prop_assert!(joined.starts_with(&stream));
            prop_assert!(joined.len().saturating_sub(stream.len()) <= 2);
        }

        #[test]
        fn never_panics(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8), cap in 0_usize..64) {
            let mut decoder = Decoder::new(cap);
            for chunk in &chunks {
                decoder.push(chunk);
                while let Ok(Some(frame)) = decoder.next() {
                    prop_assert!(frame.raw.len() <= cap);
                }
            }
            let _ = decoder.finish();
        }
    }
}
