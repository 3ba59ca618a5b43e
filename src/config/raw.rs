//! YAML as a tree in which every key and every value knows where it stands.
//!
//! The parser's events are taken as they come, rather than through serde, because a configuration is to be reported
//! whole: a duplicate key is one mistake among others, not the end of reading. Aliases and merge keys are expanded here,
//! so that what is read later is a plain tree; its values, its text and its depth are capped as they are then, because a
//! small file of aliases could else become a tree that fits in no memory or no stack. Tags that ask for anything but the
//! plain types of YAML are mistakes.

mod size;

use std::collections::HashMap;

use serde_yaml::granit_parser::{
    ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag,
};

use crate::config::{
    fault::{Place, Report, Spot, item, member},
    raw::size::{Size, height},
};

/// The deepest nesting of lists, and of mappings, in one file.
const DEEPEST: usize = 64;

/// The deepest nesting of both together, aliases expanded.
const DEEPEST_TREE: usize = 2 * DEEPEST;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it begins.
    pub(crate) spot: Spot,
    /// What it is.
    pub(crate) shape: Shape,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// A text; a number or a truth value while it is `plain`, that is without quotes.
    Scalar {
        /// The text.
        text: String,
        /// Whether it stands without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, no key twice, in the order of the file.
    Map(Vec<Entry>),
}

/// A key of a mapping and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) spot: Spot,
    /// Its value.
    pub(crate) value: Node,
}

/// Reads one document. `None` where the file cannot be read to its end; why is in the report then.
pub(crate) fn parse<'t>(file: &'t str, text: &'t str, report: &'t Report) -> Option<Node> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;
    let mut reader = Reader {
        text,
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        read: Size::default(),
        path: Vec::new(),
        whole: Place::whole(file, report),
    };
    match reader.document() {
        Ok(root) => Some(root),
        Err(stop) => {
            reader.place(stop.spot).fault(stop.message);
            None
        }
    }
}

/// Why a file cannot be read on.
struct Stop {
    spot: Spot,
    message: String,
}

impl Stop {
    fn new(spot: Spot, message: impl Into<String>) -> Self {
        Self { spot, message: message.into() }
    }
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    size: Size,
    height: usize,
}

/// The text of a key, and whether it stands without quotes.
type Key = (String, bool);

enum Step {
    Key(String),
    Item(usize),
}

struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Anchored>,
    read: Size,
    path: Vec<Step>,
    whole: Place<'t>,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Node, Stop> {
        loop {
            let (event, span) = self.event()?;
            if matches!(event, Event::StreamStart | Event::DocumentStart(..)) {
                continue;
            }
            if matches!(event, Event::StreamEnd | Event::DocumentEnd) {
                return Ok(Node { spot: Spot::START, shape: Shape::Null });
            }
            let root = self.node(event, &span)?;
            self.end()?;
            return Ok(root);
        }
    }

    /// Reads to the end of the file, where there must be no second document.
    fn end(&mut self) -> Result<(), Stop> {
        loop {
            let (event, span) = self.event()?;
            if matches!(event, Event::StreamEnd) {
                return Ok(());
            }
            if matches!(event, Event::DocumentStart(..)) {
                return Err(Stop::new(
                    start(&span),
                    "a second document begins here; a file holds one",
                ));
            }
        }
    }

    fn event(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => {
                // The scanner is ahead of the tree, so the path would name another value.
                self.path.clear();
                Err(scan_stop(&error, self.text))
            }
            None => Err(Stop::new(Spot::START, "the file ends in the middle of a value")),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node, Stop> {
        let spot = start(span);
        let before = self.read;
        self.count(Size { values: 1, text: text_in(&event) }, spot)?;
        let ((anchor, tag), node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_text_tag(tag.as_deref());
                ((anchor, tag), Node { spot, shape: scalar(text.into_owned(), plain) })
            }
            Event::SequenceStart(_, anchor, tag) => ((anchor, tag), self.list(spot)?),
            Event::MappingStart(_, anchor, tag) => ((anchor, tag), self.map(spot)?),
            Event::Alias(id) => return self.alias(id, spot),
            // What ends a collection or the file, and what only a parser with other options gives.
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | _ => return Err(Stop::new(spot, "a value was expected here")),
        };
        self.check_tag(span, tag.as_deref());
        self.keep(anchor, &node, self.read.since(before))?;
        Ok(node)
    }

    fn list(&mut self, spot: Spot) -> Result<Node, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.event()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Node { spot, shape: Shape::List(items) });
            }
            self.path.push(Step::Item(items.len()));
            items.push(self.node(event, &span)?);
            self.path.pop();
        }
    }

    fn map(&mut self, spot: Spot) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Spot> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.event()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let (key, key_spot) = self.key(event, &span)?;
            let name = key.as_ref().map(|(text, _)| text.clone());
            self.path.push(Step::Key(name.unwrap_or_default()));
            let (event, span) = self.event()?;
            let value = self.node(event, &span)?;
            match key {
                None => self.place(key_spot).fault("a key must be a plain text"),
                Some((key, true)) if key == "<<" => merged.push(value),
                Some((key, _)) => {
                    let first = seen.get(&key).copied();
                    self.add(
                        first,
                        Entry { key: key.clone(), spot: key_spot, value },
                        &mut entries,
                    );
                    seen.entry(key).or_insert(key_spot);
                }
            }
            self.path.pop();
        }
        for source in merged {
            self.merge(source, &mut entries, &mut seen);
        }
        Ok(Node { spot, shape: Shape::Map(entries) })
    }

    /// Adds an entry, or says where its key was `first`.
    fn add(&self, first: Option<Spot>, entry: Entry, entries: &mut Vec<Entry>) {
        match first {
            None => entries.push(entry),
            Some(first) => self.place(entry.spot).fault(format!(
                "this key is here twice; the first is at line {}, column {}",
                first.line, first.column
            )),
        }
    }

    /// A key and whether it stands without quotes; `None` where it is not a text.
    fn key(&mut self, event: Event<'t>, span: &Span) -> Result<(Option<Key>, Spot), Stop> {
        let node = self.node(event, span)?;
        let key = match node.shape {
            Shape::Scalar { text, plain } => Some((text, plain)),
            Shape::Null | Shape::List(_) | Shape::Map(_) => None,
        };
        Ok((key, node.spot))
    }

    /// Takes over what `<<` names: keys that the mapping has itself are left as they are.
    fn merge(&self, source: Node, entries: &mut Vec<Entry>, seen: &mut HashMap<String, Spot>) {
        match source.shape {
            Shape::Map(inherited) => {
                for entry in inherited {
                    if !seen.contains_key(&entry.key) {
                        seen.insert(entry.key.clone(), entry.spot);
                        entries.push(entry);
                    }
                }
            }
            Shape::List(sources)
                if sources.iter().all(|source| matches!(source.shape, Shape::Map(_))) =>
            {
                for source in sources {
                    self.merge(source, entries, seen);
                }
            }
            Shape::List(_) | Shape::Null | Shape::Scalar { .. } => {
                self.place(source.spot).fault("`<<` takes a mapping or a list of mappings");
            }
        }
    }

    fn alias(&mut self, id: usize, spot: Spot) -> Result<Node, Stop> {
        let Some(Anchored { node, size, height }) = self.anchors.get(&id) else {
            return Err(Stop::new(spot, "an alias may not stand inside of what it names"));
        };
        if self.path.len().saturating_add(*height) > DEEPEST_TREE {
            let message = format!("nested deeper than {DEEPEST_TREE} levels, aliases expanded");
            return Err(Stop::new(spot, message));
        }
        // What would be too much is not copied first.
        self.read = self.read.with(*size).map_err(|message| Stop::new(spot, message))?;
        Ok(node.clone())
    }

    fn keep(&mut self, anchor: usize, node: &Node, size: Size) -> Result<(), Stop> {
        if anchor != 0 {
            self.count(size, node.spot)?;
            let anchored = Anchored { node: node.clone(), size, height: height(node) };
            self.anchors.insert(anchor, anchored);
        }
        Ok(())
    }

    fn count(&mut self, more: Size, spot: Spot) -> Result<(), Stop> {
        self.read = self.read.with(more).map_err(|message| Stop::new(spot, message))?;
        Ok(())
    }

    fn check_tag(&self, span: &Span, tag: Option<&Tag>) {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            let spot = span.tag_start.map_or(start(span), |mark| spot(mark.line(), mark.col()));
            self.place(spot).fault("tags are not supported here");
        }
    }

    fn place(&self, spot: Spot) -> Place<'t> {
        let path = self.path.iter().fold(String::new(), |path, step| match step {
            Step::Key(key) => member(&path, key),
            Step::Item(index) => item(&path, *index),
        });
        Place { path, ..self.whole.at(spot) }
    }
}

fn text_in(event: &Event<'_>) -> usize {
    if let Event::Scalar(text, ..) = event { text.len() } else { 0 }
}

fn scalar(text: String, plain: bool) -> Shape {
    if plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        Shape::Null
    } else {
        Shape::Scalar { text, plain }
    }
}

fn is_text_tag(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"))
}

fn start(span: &Span) -> Spot {
    spot(span.start.line(), span.start.col())
}

fn spot(line: usize, column: usize) -> Spot {
    Spot { line: line.max(1), column: column.saturating_add(1) }
}

fn scan_stop(error: &ScanError, text: &str) -> Stop {
    let mark = error.marker();
    let kind = error.kind();
    let at = spot(mark.line(), mark.col());
    if matches!(kind, ErrorKind::RecursionLimitExceeded) {
        Stop::new(at, format!("nested deeper than {DEEPEST} levels"))
    } else if is_tab(kind) {
        Stop::new(tab_from(text, at), "a tab cannot indent YAML; use spaces")
    } else {
        Stop::new(at, format!("not valid YAML: {kind}"))
    }
}

/// The first tab in an indentation from `spot` on: a tab may be found only after the value that it broke.
fn tab_from(text: &str, at: Spot) -> Spot {
    let indentation =
        |line: &str| line.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t');
    (1_usize..)
        .zip(text.lines())
        .skip(at.line.saturating_sub(1))
        .find_map(|(line, text)| indentation(text).map(|column| spot(line, column)))
        .unwrap_or(at)
}

fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let report = Report::default();
        parse("f", text, &report);
        report.finish().0.iter().map(ToString::to_string).collect()
    }

    fn tree(text: &str) -> String {
        let report = Report::default();
        let root = parse("f", text, &report).unwrap();
        assert_eq!(report.finish(), (Vec::new(), Vec::new()));
        outline(&root)
    }

    fn outline(node: &Node) -> String {
        match &node.shape {
            Shape::Null => "null".to_owned(),
            Shape::Scalar { text, plain: true } => text.clone(),
            Shape::Scalar { text, plain: false } => format!("{text:?}"),
            Shape::List(items) => {
                format!("[{}]", items.iter().map(outline).collect::<Vec<_>>().join(" "))
            }
            Shape::Map(entries) => {
                let entries = entries.iter().map(|e| {
                    let Spot { line, column } = e.value.spot;
                    format!("{}@{line}:{column}={}", e.key, outline(&e.value))
                });
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn every_value_knows_its_line_and_column() {
        let text = "a: 1\nb:\n  - x\n  - 'y'\nc: {d: ~, e: \"f\"}\n";
        let expected = r#"{a@1:4=1 b@3:3=[x "y"] c@5:4={d@5:8=null e@5:14="f"}}"#;
        assert_eq!(tree(text), expected);
        assert_eq!(tree(""), "null");
    }

    #[test]
    fn aliases_and_merge_keys_are_expanded() {
        let text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\n";
        assert_eq!(
            tree(text),
            "{a@1:7={x@1:11=1 y@1:17=2} b@2:4={y@2:16=3 x@1:11=1} c@1:7={x@1:11=1 y@1:17=2}}"
        );
        assert_eq!(
            tree("a: {'<<': {x: 1}}\n"),
            "{a@1:4={<<@1:11={x@1:15=1}}}",
            "in quotes, a text"
        );
    }

    #[test]
    fn a_duplicate_key_names_both_places_and_reading_goes_on() {
        assert_eq!(
            faults("a: 1\nb:\n  c: 1\n  'c': 2\na: 3\n"),
            [
                "f:4:3: b.c: this key is here twice; the first is at line 3, column 3",
                "f:5:1: a: this key is here twice; the first is at line 1, column 1",
            ]
        );
    }

    #[test]
    fn what_is_not_plain_data_is_refused() {
        assert_eq!(faults("a: !!python/object x\n"), ["f:1:4: a: tags are not supported here"]);
        assert_eq!(faults("? [a]\n: 1\n").len(), 1);
        assert_eq!(
            faults("a: 1\n---\nb: 2\n"),
            ["f:2:1: a second document begins here; a file holds one"]
        );
        assert_eq!(faults("a: *b\n").len(), 1);
        assert_eq!(faults("&a [*a]").len(), 1);
        assert_eq!(faults("a: !!str 5\n"), Vec::<String>::new());
    }

    #[test]
    fn aliases_make_no_tree_that_is_too_deep_or_too_large() {
        let nested = |inner: &str| format!("{}{inner}{}", "[".repeat(60), "]".repeat(60));
        let deep = (1..60).fold(format!("k0: &a0 {}\n", nested("1")), |text, level| {
            let inner = nested(&format!("*a{}", level - 1));
            format!("{text}k{level}: &a{level} {inner}\n")
        });
        let said = faults(&deep);
        assert_eq!(said.len(), 1);
        let wanted = "nested deeper than 128 levels, aliases expanded";
        assert!(said[0].starts_with("f:3:") && said[0].ends_with(wanted), "{said:?}");
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(20));
        assert_eq!(
            faults(&long),
            ["f:2:44: b[13]: more than 16777216 bytes of text, aliases expanded"]
        );
        let many = format!("a: &a [{}]\nb: [{}]\n", "1,".repeat(50_000), "*a,".repeat(20));
        assert_eq!(faults(&many), ["f:2:8: b[1]: more than 200000 values, aliases expanded"]);
        assert_eq!(faults(&format!("a: &a {}\nb: {}\n", nested("1"), nested("*a"))), [""; 0]);
    }
}
