//! The log's lines on their way out: a bounded queue, and one thread that writes.
//!
//! A request must not wait for whoever reads the log: a pipe that nobody empties or a disk that is full costs lines,
//! which are counted, never an answer. Lines that wait lie one behind the other in one buffer, so keeping one takes no
//! memory of its own, and those that came together are written together.

use std::{io, mem, sync::Arc, thread, time::Duration};

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait, besides as many that are being written.
const CAPACITY: usize = 4 << 20;

/// A buffer that grew beyond this in a burst is given back after it.
const KEPT: usize = 64 << 10;

/// How long the end of the process waits for lines that are still to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How long the thread rests after each write: what comes meanwhile is written together and wakes nobody, which would
/// cost a request more than its line does.
const REST: Duration = Duration::from_millis(5);

/// Lines that wait to be written.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Something came, or nothing will any more.
    came: Condvar,
    /// Nothing will come any more.
    closed: Condvar,
    /// Everything has been written.
    emptied: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    lines: u64,
    /// Whether lines that were taken out are being written.
    writing: bool,
    closed: bool,
    dropped: u64,
}

/// Writes what is left when it is dropped, within a second.
#[must_use = "what waits when the process ends is lost without it"]
pub struct Flush(Arc<Queue>);

impl Queue {
    /// A queue that a thread of its own empties into `out`.
    pub(super) fn into(out: impl io::Write + Send + 'static) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self {
            waiting: Mutex::default(),
            came: Condvar::new(),
            closed: Condvar::new(),
            emptied: Condvar::new(),
        });
        let emptied = Arc::clone(&queue);
        thread::Builder::new().name("log".to_owned()).spawn(move || emptied.empty_into(out))?;
        Ok(queue)
    }

    /// What flushes this queue.
    pub(super) fn flush(self: &Arc<Self>) -> Flush {
        Flush(Arc::clone(self))
    }

    /// How many lines there was no room for, or could not be written.
    pub(super) fn dropped(&self) -> u64 {
        self.waiting.lock().dropped
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting.lock();
        if waiting.bytes.len().saturating_add(line.len()) > CAPACITY {
            waiting.dropped = waiting.dropped.saturating_add(1);
            return;
        }
        waiting.bytes.extend_from_slice(line);
        waiting.lines = waiting.lines.saturating_add(1);
        drop(waiting);
        self.came.notify_one();
    }

    fn empty_into(&self, mut out: impl io::Write) {
        let mut bytes = Vec::new();
        while let Some(lines) = self.take(&mut bytes) {
            let written = out.write_all(&bytes).and_then(|()| out.flush());
            let mut waiting = self.waiting.lock();
            waiting.writing = false;
            if written.is_err() {
                waiting.dropped = waiting.dropped.saturating_add(lines);
            }
            if !waiting.closed {
                self.closed.wait_for(&mut waiting, REST);
            }
        }
    }

    /// Waits for lines and takes all of them out; `None` where none will come.
    fn take(&self, bytes: &mut Vec<u8>) -> Option<u64> {
        bytes.clear();
        if bytes.capacity() > KEPT {
            *bytes = Vec::new();
        }
        let mut waiting = self.waiting.lock();
        while waiting.lines == 0 {
            self.emptied.notify_all();
            if waiting.closed {
                return None;
            }
            self.came.wait(&mut waiting);
        }
        mem::swap(&mut waiting.bytes, bytes);
        waiting.writing = true;
        Some(mem::take(&mut waiting.lines))
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.closed = true;
        self.0.closed.notify_one();
        self.0.came.notify_one();
        let left = |waiting: &mut Waiting| waiting.writing || waiting.lines > 0;
        let _ = self.0.emptied.wait_while_for(&mut waiting, left, LAST_LINES);
    }
}

/// Puts lines into a queue.
pub(super) struct Queued(pub(super) Arc<Queue>);

impl<'a> MakeWriter<'a> for Queued {
    type Writer = Entry<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Entry(&self.0)
    }
}

/// Takes one line, which comes as one piece.
pub(super) struct Entry<'a>(&'a Queue);

impl io::Write for Entry<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Hands on what is written, and waits to be let go on each time.
    struct Slow(mpsc::Sender<Vec<u8>>, mpsc::Receiver<()>);

    impl io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let gone = |_| io::Error::other("gone");
            self.0.send(bytes.to_vec()).map_err(|_| io::Error::other("gone"))?;
            self.1.recv().map_err(gone)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Arc<Queue>, mpsc::Receiver<Vec<u8>>, mpsc::Sender<()>) {
        let (written, reader) = mpsc::channel();
        let (go_on, pauses) = mpsc::channel();
        (Queue::into(Slow(written, pauses)).unwrap(), reader, go_on)
    }

    #[test]
    fn lines_that_wait_are_written_together_and_in_order() {
        let (queue, written, go_on) = slow();
        queue.push(b"one\n");
        assert_eq!(written.recv().unwrap(), b"one\n");
        for line in [&b"two\n"[..], b"three\n"] {
            queue.push(line);
        }
        go_on.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), b"two\nthree\n");
        go_on.send(()).unwrap();
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let (queue, written, go_on) = slow();
        queue.push(b"first\n");
        written.recv().unwrap();
        let line = vec![b'x'; CAPACITY / 4];
        for _ in 0..6 {
            queue.push(&line);
        }
        assert_eq!(queue.dropped(), 2);
        go_on.send(()).unwrap();
        assert_eq!(written.recv().unwrap().len(), CAPACITY);
        queue.push(b"room again\n");
        assert_eq!(queue.dropped(), 2);
        go_on.send(()).unwrap();
        go_on.send(()).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let (queue, written, go_on) = slow();
        queue.push(b"lost\n");
        written.recv().unwrap();
        drop(go_on);
        drop(queue.flush());
        assert_eq!(queue.dropped(), 1);
    }

    #[test]
    fn the_end_waits_for_what_is_left() {
        let (queue, written, go_on) = slow();
        let flush = queue.flush();
        for _ in 0..3 {
            queue.push(b"line\n");
            go_on.send(()).unwrap();
        }
        drop(flush);
        let all: Vec<u8> = written.try_iter().flatten().collect();
        assert_eq!(all, b"line\nline\nline\n");
    }
}
