//! `dialect::sse`: the same frames however the bytes are cut, all bytes kept, none beyond the cap.

use pointsman::dialect::sse::{Decoder, Frame};

use crate::{dice::Dice, driver::Target, mutate, seeds};

#[test]
fn sse() {
    Target { name: "sse", make, hold }.run();
}

fn make(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = match dice.below(4) {
        0 => dice.noise(48),
        1 => dice.pick(&seeds::ODDITIES).clone().into_bytes(),
        _ => {
            let (_, stream) = dice.pick(&seeds::STREAMS);
            let frames: Vec<&str> = stream.split_inclusive("\n\n").collect();
            (0..dice.below(4)).map(|_| *dice.pick(&frames)).collect::<String>().into_bytes()
        }
    };
    if dice.once_in(3) {
        let ends = *dice.pick(&["\r", "\r\n", "\n\r"]);
        bytes = bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(ends.as_bytes());
    }
    mutate::bytes(dice, &mut bytes);
    bytes
}

fn hold(bytes: &[u8]) {
    for cap in [1 << 20, 300, 40] {
        let whole = frames(bytes, cap, |_| usize::MAX);
        let mut dice = Dice::new(bytes.len() as u64);
        assert_eq!(frames(bytes, cap, |_| 1), whole, "cut into bytes, cap {cap}");
        let cut = frames(bytes, cap, |left| 1 + dice.below(left));
        assert_eq!(cut, whole, "cut anywhere, cap {cap}");
        hold_bytes(bytes, &whole);
        for frame in &whole.0 {
            // The last one may have got its blank line from us.
            assert!(frame.raw.len() <= cap + 2, "a frame of {} bytes", frame.raw.len());
            hold_data(frame);
        }
        if cap == 1 << 20 {
            assert_eq!(fields(&whole.0), reference(bytes), "another reading of the stream");
        }
    }
}

/// The frames are the bytes, but for what comes after an oversized one, and a blank line that was missing.
fn hold_bytes(bytes: &[u8], (frames, oversized): &(Vec<Frame>, bool)) {
    let raw: Vec<u8> = frames.iter().flat_map(|frame| frame.raw.to_vec()).collect();
    if *oversized {
        assert!(bytes.starts_with(&raw), "the frames before an oversized one are not the bytes");
    } else {
        assert!(raw.starts_with(bytes), "bytes were lost or changed");
        let added = &raw[bytes.len()..];
        assert!(matches!(added, b"" | b"\n" | b"\n\n"), "more than a blank line was added");
    }
}

/// The data stands where the frame says.
fn hold_data(frame: &Frame) {
    let Some(data) = &frame.data else { return };
    for start in 0..data.len() {
        for end in [start + 1, start + 3, data.len()] {
            let Some(wanted) = data.get(start..end) else { continue };
            match frame.place(start..end) {
                Some(place) => assert_eq!(&frame.raw[place], wanted),
                None => assert!(wanted.contains(&b'\n'), "no place for {start}..{end}"),
            }
        }
    }
}

/// All frames of a stream cut as `cut` says, and whether it ended for an oversized one.
fn frames(bytes: &[u8], cap: usize, mut cut: impl FnMut(usize) -> usize) -> (Vec<Frame>, bool) {
    let mut decoder = Decoder::new(cap);
    let mut frames = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(cut(rest.len()).min(rest.len()));
        decoder.push(chunk);
        rest = after;
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => {
                    decoder.push(b"data: more\n\n");
                    assert!(decoder.next().is_err(), "an oversized stream went on");
                    return (frames, true);
                }
            }
        }
    }
    loop {
        match decoder.finish() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, false),
            Err(_) => return (frames, true),
        }
    }
}

type Fields = (Option<Vec<u8>>, Vec<u8>);

/// Event and data of the frames that have data.
fn fields(frames: &[Frame]) -> Vec<Fields> {
    let with_data = frames.iter().filter_map(|frame| {
        Some((frame.event.as_ref().map(|event| event.to_vec()), frame.data.as_ref()?.to_vec()))
    });
    with_data.collect()
}

/// The same by the letter of the standard: lines, then fields.
fn reference(bytes: &[u8]) -> Vec<Fields> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut lines = vec![Vec::new()];
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'\r', Some(b'\n')) => {
                at += 1;
                lines.push(Vec::new());
            }
            (b'\r' | b'\n', _) => lines.push(Vec::new()),
            (byte, _) => lines.last_mut().unwrap().push(byte),
        }
        at += 1;
    }
    lines.push(Vec::new());
    let mut found = Vec::new();
    let (mut event, mut data) = (None, None::<Vec<u8>>);
    for line in lines {
        if line.is_empty() {
            let event = event.take();
            found.extend(data.take().map(|data| (event, data)));
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value).to_vec();
        match (&line[..colon], &mut data) {
            (b"data", Some(data)) => {
                data.push(b'\n');
                data.extend(value);
            }
            (b"data", none) => *none = Some(value),
            (b"event", _) => event = Some(value),
            _ => {}
        }
    }
    found
}
