//! Prometheus' text format, read strictly enough that a malformed exposition fails a test.

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// The name.
    pub(crate) name: String,
    /// Label names and values.
    pub(crate) labels: Vec<(String, String)>,
    /// The value.
    pub(crate) value: f64,
}

/// A whole scrape.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(pub(crate) Vec<Sample>);

impl Metrics {
    /// Reads an exposition.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            lines
                .map(|line| sample(line).unwrap_or_else(|| panic!("bad series: {line}")))
                .collect(),
        )
    }

    /// The sum of the series `name` whose labels include `labels`; 0 where there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let matches = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| {
                    sample.labels.iter().any(|(known, is)| known == label && is == value)
                })
        };
        self.0.iter().filter(matches).map(|sample| sample.value).sum()
    }

    /// Whether there is a series `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|sample| sample.name == name || sample.name.starts_with(&format!("{name}_")))
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: Vec::new(), value });
    };
    let mut rest = labels.strip_suffix('}')?;
    let mut labels = Vec::new();
    while !rest.is_empty() {
        let (label, tail) = rest.split_once("=\"")?;
        let end = quote_end(tail)?;
        labels.push((label.to_owned(), tail[..end].to_owned()));
        rest = tail[end + 1..].trim_start_matches(',');
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Where the quote that closes this value stands.
fn quote_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, character)| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends.then_some(at)
    })
}

#[test]
fn an_exposition_is_read() {
    let text = "# HELP a b\na{x=\"1\",y=\"q\\\"}\"} 2\na{x=\"2\"} 3\nb 1.5e3\n";
    let metrics = Metrics::parse(text);
    assert!((metrics.sum("a", &[]) - 5.0).abs() < 1e-9);
    assert!((metrics.sum("a", &[("x", "1")]) - 2.0).abs() < 1e-9);
    assert!((metrics.sum("b", &[]) - 1500.0).abs() < 1e-9);
    assert!((metrics.sum("c", &[])).abs() < 1e-9);
}
