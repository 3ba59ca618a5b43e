//! What the three decoders share: reading members of the right type, and keeping account of the rest.
//!
//! Only what routing needs is demanded (`model`, `stream`, the output limit, the messages); a wrong type there refuses
//! the request. A wrong type elsewhere is noted and left to the caller's own API, which may know better.

use std::borrow::Cow;

use crate::dialect::{
    Dialect,
    ir::{Amount, Bound, Effort, Marker, Reasoning, Request},
    json::{Node, Value},
    request::RequestFault,
};

/// The members of an object.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

/// How many names of unknown and of unreadable fields are kept.
const MAX_NOTES: usize = 32;

/// A request being read.
pub(crate) struct Reader<'a> {
    source: &'a str,
    /// What has been read so far.
    pub(crate) request: Request<'a>,
}

impl<'a> Reader<'a> {
    /// Begins a request of `dialect` whose body is `source`.
    pub(crate) fn new(dialect: Dialect, source: &'a str) -> Self {
        Self { source, request: Request::new(dialect) }
    }

    /// The JSON that `node` came from.
    pub(crate) fn raw(&self, node: &Node<'a>) -> &'a str {
        node.raw_text(self.source)
    }

    /// Notes a field that the inner form has no place for; one without a value is nobody's loss.
    pub(crate) fn unknown(&mut self, key: Cow<'a, str>, node: &Node<'a>) {
        let empty = match &node.value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
        if !empty {
            note(&mut self.request.extra, key);
        }
    }

    /// Notes a field that should have been of another type.
    pub(crate) fn unreadable(&mut self, field: impl Into<Cow<'a, str>>) {
        note(&mut self.request.unreadable, field.into());
    }

    /// Notes that a field ties the request to its own API.
    pub(crate) fn bound(&mut self, field: &'static str, why: &'static str) {
        let bound = Bound { field, why };
        if !self.request.bound.contains(&bound) {
            self.request.bound.push(bound);
        }
    }

    /// The string, or nothing where it is `null` or of another type.
    pub(crate) fn string(&mut self, key: &str, node: Node<'a>) -> Option<Cow<'a, str>> {
        match node.value {
            Value::String(text) => Some(text),
            Value::Null => None,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                self.unreadable(key.to_owned());
                None
            }
        }
    }

    /// The boolean, or nothing where it is `null` or of another type.
    pub(crate) fn bool(&mut self, key: &str, node: &Node<'a>) -> Option<bool> {
        if node.as_bool().is_none() && !node.is_null() {
            self.unreadable(key.to_owned());
        }
        node.as_bool()
    }

    /// The number as it was spelled, or nothing where it is `null` or of another type.
    pub(crate) fn number(&mut self, key: &str, node: &Node<'a>) -> Option<&'a str> {
        if let Value::Number(text) = node.value {
            return Some(text);
        }
        if !node.is_null() {
            self.unreadable(key.to_owned());
        }
        None
    }

    /// The JSON of an object, or nothing where it is `null` or of another type.
    pub(crate) fn raw_object(&mut self, key: &str, node: &Node<'a>) -> Option<&'a str> {
        if matches!(node.value, Value::Object(_)) {
            return Some(self.raw(node));
        }
        if !node.is_null() {
            self.unreadable(key.to_owned());
        }
        None
    }

    /// The members, none where it is `null` or of another type.
    pub(crate) fn members(&mut self, key: &str, node: Node<'a>) -> Members<'a> {
        match node.value {
            Value::Object(members) => members,
            Value::Null => Members::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.unreadable(key.to_owned());
                Members::new()
            }
        }
    }

    /// The members, with those of the objects named `inside` in the place of these: an API that nests and one that
    /// does not are then read alike.
    pub(crate) fn flat(&mut self, members: Members<'a>, inside: &[&str]) -> Members<'a> {
        let mut flat = Members::with_capacity(members.len().saturating_add(4));
        for (key, node) in members {
            if inside.contains(&&*key) {
                flat.append(&mut self.members(&key, node));
            } else {
                flat.push((key, node));
            }
        }
        flat
    }

    /// The items, none where it is `null` or of another type.
    pub(crate) fn items(&mut self, key: &str, node: Node<'a>) -> Vec<Node<'a>> {
        match node.value {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                self.unreadable(key.to_owned());
                Vec::new()
            }
        }
    }

    /// A string, or the strings of an array.
    pub(crate) fn strings(&mut self, key: &str, node: Node<'a>) -> Vec<Cow<'a, str>> {
        if let Value::String(text) = node.value {
            return vec![text];
        }
        let items = self.items(key, node);
        items.into_iter().filter_map(|item| self.string(key, item)).collect()
    }

    /// A cache marker (`cache_control`).
    pub(crate) fn marker(&mut self, node: &Node<'a>) -> Option<Marker> {
        if node.is_null() {
            return None;
        }
        let hour = node.member("ttl").and_then(Node::as_str) == Some("1h");
        if node.as_object().is_none() {
            self.unreadable("cache_control");
        }
        Some(Marker { hour })
    }

    /// The amount that an effort's word asks for; one that is not known is left to the model.
    pub(crate) fn effort(&mut self, key: &str, node: &Node<'a>) -> Option<Amount> {
        if node.is_null() {
            return None;
        }
        let word = node.as_str().unwrap_or_default();
        let amount = if word == "none" {
            Some(Amount::Off)
        } else {
            Effort::parse(word).map(Amount::Effort)
        };
        if amount.is_none() {
            self.unreadable(key.to_owned());
        }
        amount
    }

    /// The `reasoning` object of Responses, which some chat engines take as well.
    pub(crate) fn reasoning(&mut self, node: Node<'a>) {
        let mut amount = None;
        let mut summary = None;
        for (key, node) in self.members("reasoning", node) {
            match &*key {
                "effort" => amount = self.effort("reasoning.effort", &node).or(amount),
                "max_tokens" => amount = node.as_u64().map(Amount::Budget).or(amount),
                "enabled" if node.as_bool() == Some(false) => amount = Some(Amount::Off),
                "enabled" => amount = amount.or(Some(Amount::Adaptive)),
                "summary" | "generate_summary" => {
                    summary = self.string("reasoning.summary", node).or(summary);
                }
                _ => self.unknown(key, &node),
            }
        }
        if amount.is_some() || summary.is_some() {
            self.request.reasoning =
                Some(Reasoning { amount: amount.unwrap_or(Amount::Adaptive), summary });
        }
    }

    /// Reads what Chat and Responses spell alike. Gives the node back if the key is none of these.
    pub(crate) fn shared(
        &mut self,
        key: &str,
        node: Node<'a>,
    ) -> Result<Option<Node<'a>>, RequestFault> {
        match key {
            "temperature" => self.request.sampling.temperature = self.number(key, &node),
            "top_p" => self.request.sampling.top_p = self.number(key, &node),
            "parallel_tool_calls" => self.request.tools.parallel = self.bool(key, &node),
            "prompt_cache_key" => self.request.cache.key = self.string(key, node),
            "prompt_cache_retention" => self.request.cache.retention = self.string(key, node),
            "safety_identifier" => {
                let identifier = self.string(key, node);
                self.request.labels.user = identifier.or(self.request.labels.user.take());
            }
            "user" => {
                let user = self.string(key, node);
                self.request.labels.user = self.request.labels.user.take().or(user);
            }
            "metadata" => self.request.labels.metadata = self.raw_object(key, &node),
            "service_tier" => self.request.labels.service_tier = self.string(key, node),
            "store" => self.request.labels.store = self.bool(key, &node),
            _ => return self.basics(key, node),
        }
        Ok(None)
    }

    /// Reads what all three APIs spell alike. Gives the node back if the key is none of these.
    pub(crate) fn basics(
        &mut self,
        key: &str,
        node: Node<'a>,
    ) -> Result<Option<Node<'a>>, RequestFault> {
        match key {
            "model" => {
                self.request.places.model = node.span.clone();
                let Value::String(model) = node.value else {
                    return Err(RequestFault::invalid(format!(
                        "`model` must be a string, not {}",
                        node.value
                    )));
                };
                self.request.model = model;
            }
            "stream" => {
                self.request.stream = match node.value {
                    Value::Bool(stream) => stream,
                    Value::Null => false,
                    Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                        return Err(RequestFault::invalid(format!(
                            "`stream` must be true or false, not {}",
                            node.value
                        )));
                    }
                };
            }
            _ => return Ok(Some(node)),
        }
        Ok(None)
    }

    /// The request, if it names a model.
    pub(crate) fn finish(self) -> Result<Request<'a>, RequestFault> {
        if self.request.places.model.is_empty() {
            return Err(RequestFault::invalid(
                "`model` is missing: name a model, or a router as `router:NAME`",
            ));
        }
        Ok(self.request)
    }
}

/// An output limit: a whole number, or nothing where it is `null`.
pub(crate) fn limit(key: &str, node: &Node<'_>) -> Result<Option<u64>, RequestFault> {
    if node.is_null() {
        return Ok(None);
    }
    let fault =
        || RequestFault::invalid(format!("`{key}` must be a whole number that is not negative"));
    node.as_u64().map(Some).ok_or_else(fault)
}

/// The value of `type`, if it is a string.
pub(crate) fn kind<'a>(members: &Members<'a>) -> Cow<'a, str> {
    let node = members.iter().find(|(key, _)| key == "type").map(|(_, node)| &node.value);
    if let Some(Value::String(kind)) = node { kind.clone() } else { Cow::Borrowed("") }
}

fn note<'a>(notes: &mut Vec<Cow<'a, str>>, name: Cow<'a, str>) {
    if notes.len() < MAX_NOTES && !notes.contains(&name) {
        notes.push(name);
    }
}
