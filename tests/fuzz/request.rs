//! Requests of every API, to every other and on again: `read_request`, `carry`, `write_request`.
//!
//! A case begins with a line that names the API; the body follows.

use pointsman::dialect::{
    Dialect, carry,
    ir::{
        Request, StreamOptionsKind,
        part::{Document, Part, Role, Source},
        tool::ToolChoice,
    },
    json,
    request::{Outgoing, Shape, read_request, write_request},
};

use crate::{answer, dice::Dice, driver::Target, mutate, seeds};

#[test]
fn request() {
    Target { name: "request", make, hold }.run();
}

fn make(dice: &mut Dice) -> Vec<u8> {
    let (dialect, mut value) = dice.pick(&seeds::REQUESTS).clone();
    let mut body = match dice.below(20) {
        0 => dice.noise(64),
        1 => value.to_string().into_bytes(),
        _ => {
            mutate::tree(dice, &mut value);
            if dice.once_in(2) { format!("{value:#}") } else { value.to_string() }.into_bytes()
        }
    };
    if dice.once_in(10) {
        mutate::bytes(dice, &mut body);
    }
    let dialect = if dice.once_in(10) { *dice.pick(&Dialect::ALL) } else { dialect };
    [dialect.as_str().as_bytes(), b"\n", &body].concat()
}

fn hold(bytes: &[u8]) {
    let Some((words, body)) = answer::case(bytes) else { return };
    let Some(from) = answer::dialect(words[0]) else { return };
    let request = match read_request(from, body) {
        Ok(request) => request,
        Err(fault) => return assert!(matches!(fault.code, "invalid_json" | "invalid_request")),
    };
    let _ = request.demand();
    for to in Dialect::ALL {
        match carry::carry(&request, to) {
            Err(why) => assert!(to != from && !why.contains(['\n', '\r']), "{why:?}"),
            Ok(carried) => {
                let outgoing = send(&request, body, to);
                for loss in &carried.losses {
                    assert!(outgoing.losses.contains(loss), "{loss} was announced, not reported");
                }
                if to == from {
                    hold_kept(&request, body, &outgoing);
                } else {
                    hold_translated(&request, to, &outgoing);
                }
            }
        }
    }
}

fn send(request: &Request<'_>, body: &[u8], to: Dialect) -> Outgoing {
    let shape = Shape { upstream_id: "upstream-model", ..Shape::default() };
    write_request(request, body, to, &shape)
}

/// To the same API the bytes stay, but for `model` and `stream_options`.
fn hold_kept(request: &Request<'_>, body: &[u8], outgoing: &Outgoing) {
    let sent = json::parse(&outgoing.body).expect("JSON in place of JSON");
    assert_eq!(sent.member("model").and_then(json::Node::as_str), Some("upstream-model"));
    let came = json::parse(body).unwrap();
    for (name, value) in came.as_object().unwrap() {
        if name != "model" && name != "stream_options" {
            let kept = sent.member(name).expect("a member that came");
            assert_eq!(kept.raw(&outgoing.body), value.raw(body), "{name} was changed");
        }
    }
    let again = read_request(request.dialect, &outgoing.body).expect("what came was a request");
    assert_eq!(again.messages, request.messages);
    let strange = request.places.stream_options.as_ref().map(|options| &options.kind);
    let asks = again.include_usage || strange == Some(&StreamOptionsKind::Strange);
    assert!(asks || !outgoing.hides_usage, "usage is hidden that nobody asked for");
}

/// What another API gets is a request of that API and says the same; and once translated, stays so.
fn hold_translated(request: &Request<'_>, to: Dialect, outgoing: &Outgoing) {
    let shown = || format!("{} for {}", outgoing.body.escape_ascii(), to.as_str());
    let sent =
        read_request(to, &outgoing.body).unwrap_or_else(|fault| panic!("{fault}: {}", shown()));
    assert_eq!((&*sent.model, sent.stream), ("upstream-model", request.stream));
    assert!(sent.unreadable.is_empty(), "{:?}: {}", sent.unreadable, shown());
    let missing = said(request).missing_in(&said(&sent));
    assert!(missing.is_none(), "{} went missing: {}", missing.unwrap(), shown());
    let tools = sent.tools.list.len() - usize::from(outgoing.structured_tool.is_some());
    assert!(tools <= request.tools.list.len());
    if !matches!(request.tools.choice, Some(ToolChoice::Allowed { .. })) {
        assert_eq!(tools, request.tools.list.len(), "tools went missing: {}", shown());
    }
    if carry::carry(&sent, request.dialect).is_err() {
        return;
    }
    let back = send(&sent, &outgoing.body, request.dialect);
    let again = read_request(request.dialect, &back.body)
        .unwrap_or_else(|fault| panic!("back again: {fault}: {}", back.body.escape_ascii()));
    let missing = said(&sent).missing_in(&said(&again));
    assert!(missing.is_none(), "{} went missing: {}", missing.unwrap(), back.body.escape_ascii());
}

/// What is said by whom, without how it is cut into messages and parts, which the APIs differ in.
#[derive(Debug, Default)]
struct Said {
    system: Vec<String>,
    user: Vec<String>,
    assistant: Vec<String>,
    results: Vec<String>,
    /// Arguments of calls.
    calls: Vec<String>,
    /// Images, documents and sounds.
    files: Vec<String>,
}

fn said(request: &Request<'_>) -> Said {
    let mut said = Said::default();
    for message in &request.messages {
        for part in &message.parts {
            said.add(message.role, part);
        }
    }
    said
}

impl Said {
    fn add(&mut self, role: Role, part: &Part<'_>) {
        match part {
            Part::Text(text) => self.by(role).push(solid(&text.text)),
            Part::Refusal(text) => self.by(role).push(solid(text)),
            Part::Document(Document { source: Source::Text(text), .. }) => {
                self.by(role).push(solid(text));
            }
            Part::Image(image) => self.files.push(file(&image.source)),
            Part::Document(document) => self.files.push(file(&document.source)),
            Part::Audio(audio) => self.files.push(audio.data.to_string()),
            Part::ToolCall(call) => self.calls.push(arguments(&call.arguments)),
            Part::ToolResult(result) => {
                result.parts.iter().for_each(|part| self.add(Role::Tool, part));
            }
            Part::Reasoning(_) | Part::Other(_) => {}
        }
    }

    const fn by(&mut self, role: Role) -> &mut Vec<String> {
        match role {
            Role::System | Role::Developer => &mut self.system,
            Role::User => &mut self.user,
            Role::Assistant => &mut self.assistant,
            Role::Tool => &mut self.results,
        }
    }

    /// What of `self` is not in `other`: words may be added on the way, none may go missing.
    fn missing_in(&self, other: &Self) -> Option<String> {
        if self.calls != other.calls {
            return Some(format!("calls {:?} are {:?}", self.calls, other.calls));
        }
        let (mut files, mut others) = (self.files.clone(), other.files.clone());
        files.sort();
        others.sort();
        if files != others {
            return Some(format!("files {files:?} are {others:?}"));
        }
        let user = other.user.concat();
        // What only the operator says may have to be said by the user; an image of a result goes to the user's turn.
        let (system, results) = (other.system.concat() + &user, other.results.concat() + &user);
        let pairs = [
            (&self.system, &system),
            (&self.user, &user),
            (&self.assistant, &other.assistant.concat()),
            (&self.results, &results),
        ];
        pairs
            .into_iter()
            .find_map(|(texts, all)| texts.iter().find(|text| !all.contains(&**text)).cloned())
    }
}

/// A text without white space, which some API trims.
fn solid(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// What tells a file, in itself or in a `data:` address; its media type need not be one.
fn file(source: &Source<'_>) -> String {
    match source {
        Source::Url(data) | Source::Base64 { data, .. } => {
            data.rsplit(',').next().unwrap_or_default().to_owned()
        }
        Source::Text(text) => solid(text),
        Source::File(id) => id.to_string(),
    }
}

/// Arguments without what does not matter in JSON.
fn arguments(text: &str) -> String {
    match json::parse_text(text) {
        Ok(_) => json::compact(text).into_owned(),
        Err(_) if text.trim().is_empty() => "{}".to_owned(),
        Err(_) => format!("{text:?}"),
    }
}
