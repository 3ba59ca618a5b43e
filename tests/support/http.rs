//! HTTP/1 messages out of raw bytes: as much as the tests need, and strict where it matters (a cut body is not whole).

use serde_json::Value;

/// A message: its first line, its fields, its body without framing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    /// The request line or status line.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body without its framing; what came of it.
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its proper end.
    pub(crate) whole: bool,
    /// How many bytes it took on the wire.
    pub(crate) length: usize,
}

impl Message {
    /// Reads a message from the beginning of `bytes`. `None` while its head is not there. `closed` says that no more
    /// comes, which ends a body without a length.
    pub(crate) fn parse(bytes: &[u8], closed: bool) -> Option<Self> {
        let end = find(bytes, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let line = lines.next()?.to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut message = Self { line, headers, ..Self::default() };
        let rest = &bytes[end + 4..];
        let used = message.read_body(rest, closed);
        message.length = end + 4 + used;
        Some(message)
    }

    fn read_body(&mut self, rest: &[u8], closed: bool) -> usize {
        if self.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            return self.read_chunks(rest);
        }
        let length = self.header("content-length").and_then(|length| length.parse::<usize>().ok());
        match length {
            Some(length) => {
                let here = length.min(rest.len());
                self.body = rest[..here].to_vec();
                self.whole = here == length;
                here
            }
            None if self.line.starts_with("HTTP/") && !self.is_bodiless() => {
                self.body = rest.to_vec();
                self.whole = closed;
                rest.len()
            }
            None => {
                self.whole = true;
                0
            }
        }
    }

    fn is_bodiless(&self) -> bool {
        matches!(self.status(), 100..=199 | 204 | 304)
    }

    fn read_chunks(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        while let Some(end) = find(&rest[at..], b"\r\n") {
            let line = String::from_utf8_lossy(&rest[at..at + end]).into_owned();
            let size = line.split(';').next().unwrap_or_default().trim();
            let Ok(size) = usize::from_str_radix(size, 16) else { return at };
            let data = at + end + 2;
            if size == 0 {
                let Some(tail) = find(&rest[at + end..], b"\r\n\r\n") else { return at };
                self.whole = true;
                return at + end + tail + 4;
            }
            let here = size.min(rest.len().saturating_sub(data));
            self.body.extend_from_slice(&rest[data..data + here]);
            at = data + size + 2;
            if at > rest.len() {
                return rest.len();
            }
        }
        at
    }

    /// The first field of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The status of a response.
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        let status = self.line.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {:?}", self.line))
    }

    /// The target of a request.
    pub(crate) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|fault| panic!("{fault}: {} {:?}", self.line, self.text()))
    }

    /// The `code` of an error body in the shape of the Chat Completions API.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Where `needle` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[test]
fn a_cut_body_is_not_whole() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let message = Message::parse(chunked, true).unwrap();
    assert_eq!((message.text().as_str(), message.whole), ("abc", false));
    let whole = [&chunked[..], b"0\r\n\r\nNEXT"].concat();
    let message = Message::parse(&whole, false).unwrap();
    assert!(message.whole);
    assert_eq!(&whole[message.length..], b"NEXT");
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc";
    assert!(!Message::parse(short, true).unwrap().whole);
}
