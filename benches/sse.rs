//! What an event of a stream costs: cut out of the bytes, read, and written for the caller.
//!
//! Every figure is for one event of text: the same API on both sides, and translated.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

use bytes::BytesMut;
use divan::{Bencher, counter::ItemsCount};
use pointsman::{
    dialect::{
        Dialect,
        answer::{Echo, Stream, Terms},
        sse::Decoder,
    },
    ids::ModelId,
};

const EVENTS: usize = 1_000;

fn main() {
    divan::main();
}

/// A stream of `EVENTS` pieces of text.
fn stream(upstream: Dialect) -> Vec<u8> {
    let (start, event) = match upstream {
        Dialect::Chat => (
            "",
            r#"data: {"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012","object":"chat.completion.chunk","created":1760000000,"model":"gpt-5.2-2025-12-11","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        ),
        Dialect::Responses => (
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"model\":\"up\",\"output\":[]}}\n\n",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":5,\"item_id\":\"msg_0123456789abcdef0123456789abcdef\",\"output_index\":0,\"content_index\":0,\"delta\":\" token\",\"logprobs\":[],\"obfuscation\":\"a1b2c3d4e5\"}",
        ),
        Dialect::Messages => (
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" token\"}}",
        ),
    };
    format!("{start}{}", format!("{event}\n\n").repeat(EVENTS)).into_bytes()
}

/// Passes the stream from `upstream` to `caller`, as the network cuts it.
fn pass(bencher: Bencher<'_, '_>, upstream: Dialect, caller: Dialect) {
    let bytes = stream(upstream);
    let model = ModelId::parse("gpt-5.2").unwrap();
    let echo = Echo::default();
    let terms = Terms {
        caller,
        upstream,
        model: &model,
        hides_usage: true,
        id: "0123456789abcdef",
        created: 1_760_000_000,
        input_tokens: 100,
        echo: &echo,
        structured_tool: None,
        tool_names: &[],
    };
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut decoder = Decoder::default();
        let mut stream = Stream::new(&terms);
        let mut out = BytesMut::new();
        let mut total = 0_usize;
        for chunk in bytes.chunks(1_400) {
            decoder.push(chunk);
            while let Some(frame) = decoder.next().unwrap() {
                stream.frame(&frame, &mut out).unwrap();
            }
            total = total.saturating_add(out.split().len());
        }
        total
    });
}

#[divan::bench(args = Dialect::ALL)]
fn relayed(bencher: Bencher<'_, '_>, upstream: Dialect) {
    pass(bencher, upstream, upstream);
}

#[divan::bench(args = Dialect::ALL)]
fn to_chat(bencher: Bencher<'_, '_>, upstream: Dialect) {
    pass(bencher, upstream, Dialect::Chat);
}

#[divan::bench(args = Dialect::ALL)]
fn to_responses(bencher: Bencher<'_, '_>, upstream: Dialect) {
    pass(bencher, upstream, Dialect::Responses);
}

#[divan::bench(args = Dialect::ALL)]
fn to_messages(bencher: Bencher<'_, '_>, upstream: Dialect) {
    pass(bencher, upstream, Dialect::Messages);
}

/// Frames alone.
#[divan::bench(args = Dialect::ALL)]
fn cut(bencher: Bencher<'_, '_>, upstream: Dialect) {
    let bytes = stream(upstream);
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut decoder = Decoder::default();
        let mut frames = 0_usize;
        for chunk in bytes.chunks(1_400) {
            decoder.push(chunk);
            while decoder.next().unwrap().is_some() {
                frames = frames.saturating_add(1);
            }
        }
        frames
    });
}
