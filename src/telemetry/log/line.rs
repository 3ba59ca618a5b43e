//! Keeps a record on its line, and harmless in a terminal.

use std::{
    fmt::{self, Write as _},
    io,
};

use tracing_subscriber::fmt::MakeWriter;

/// Whether `c` could end a line, move a cursor or turn the direction of text.
pub(super) fn is_sly(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// Makes writers that escape what [`is_sly`] in a record.
pub(super) struct Lines<W>(pub(super) W);

/// Writes records to `W`; each comes as one piece that ends with its line break.
pub(super) struct Line<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Lines<W> {
    type Writer = Line<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.0.make_writer())
    }
}

impl<W: io::Write> io::Write for Line<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.write_all(record)?;
        Ok(record.len())
    }

    fn write_all(&mut self, record: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(record).map_err(io::Error::other)?;
        let (text, end) = text.strip_suffix('\n').map_or((text, ""), |text| (text, "\n"));
        if !text.contains(is_sly) {
            return self.0.write_all(record);
        }
        let mut line = String::with_capacity(record.len().saturating_add(64));
        escape(text, &mut line).map_err(io::Error::other)?;
        line.push_str(end);
        self.0.write_all(line.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn escape(text: &str, line: &mut String) -> fmt::Result {
    for c in text.chars() {
        if is_sly(c) {
            write!(line, "{}", c.escape_default())?;
        } else {
            line.push(c);
        }
    }
    Ok(())
}
