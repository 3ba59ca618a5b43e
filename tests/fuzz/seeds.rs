//! What mutations begin with: the golden files, the example configuration, the corpora of other tests.

use std::{fs, path::Path, sync::LazyLock};

use pointsman::dialect::Dialect;
use serde_json::Value;

/// Valid requests of each API, and the API.
pub(crate) static REQUESTS: LazyLock<Vec<(Dialect, Value)>> = LazyLock::new(|| {
    let files = Dialect::ALL.into_iter().flat_map(|dialect| {
        let files = read("tests/golden", &format!("{}/request", dialect.as_str()), ".json");
        files.into_iter().map(move |(_, text)| (dialect, text))
    });
    let requests: Vec<_> = files
        .map(|(dialect, text)| {
            let mut scenario: Value = serde_json::from_str(&text).unwrap();
            (dialect, scenario["in"].take())
        })
        .collect();
    assert!(requests.len() > 20, "{} requests", requests.len());
    requests
});

/// Recorded streams of each API.
pub(crate) static STREAMS: LazyLock<Vec<(Dialect, String)>> = LazyLock::new(|| answers(".in.sse"));

/// Recorded whole answers of each API.
pub(crate) static ANSWERS: LazyLock<Vec<(Dialect, Value)>> = LazyLock::new(|| {
    let answers = answers(".in.json").into_iter();
    answers.map(|(dialect, text)| (dialect, serde_json::from_str(&text).unwrap())).collect()
});

/// Odd bodies and streams of the other tests.
pub(crate) static ODDITIES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let json = read("tests/corpus", "json", ".json").into_iter();
    let sse = read("tests/corpus", "sse", ".sse").into_iter();
    json.chain(sse).map(|(_, text)| text).filter(|text| text.len() < 10_000).collect()
});

fn answers(ending: &str) -> Vec<(Dialect, String)> {
    let answers: Vec<_> = Dialect::ALL
        .into_iter()
        .flat_map(|dialect| {
            let files = read("tests/golden", &format!("{}/answer", dialect.as_str()), ending);
            files.into_iter().map(move |(_, text)| (dialect, text))
        })
        .collect();
    assert!(answers.len() > 10, "{} answers", answers.len());
    answers
}

/// Name and text of every text file of a folder, sorted.
fn read(base: &str, folder: &str, ending: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(base).join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(ending)))
        .filter_map(|path| Some((path.to_str()?.to_owned(), fs::read_to_string(&path).ok()?)))
        .collect();
    files.sort();
    files
}
