//! Files: found by name or pattern, read under a cap, and their text checked before it is parsed.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::config::fault::Spot;

/// A larger file is a mistake.
const LARGEST: u64 = 4 << 20;

/// More files than this are not taken from patterns.
const MOST_FILES: usize = 1_000;

/// The SHA-256 of a file's content.
pub(crate) type ContentDigest = [u8; 32];

/// What each file held when it was read; `None` where it could not be.
pub(crate) type Contents = BTreeMap<PathBuf, Option<ContentDigest>>;

/// One file as it is to become, laid over what the disk holds.
#[derive(Debug, Clone)]
pub(crate) struct Overlay {
    /// The file.
    pub(crate) path: PathBuf,
    /// What it is to hold; `None` where it is to go.
    pub(crate) content: Option<Vec<u8>>,
    /// Whether it counts as a router file even where nothing names it: a draft.
    pub(crate) is_draft: bool,
}

/// Remembers what was read, so that a later change can be told from what is already in use.
#[derive(Default)]
pub(crate) struct Ledger {
    contents: RefCell<Contents>,
    overlay: Option<Overlay>,
}

impl Ledger {
    /// Reads as if the disk held what `overlay` says.
    pub(crate) fn over(overlay: Option<Overlay>) -> Self {
        Self { contents: RefCell::default(), overlay }
    }

    /// What is laid over the disk.
    pub(crate) fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }

    /// The files that fit `pattern`, sorted.
    pub(crate) fn matching(&self, pattern: &Path) -> Vec<PathBuf> {
        let mut found = matching(pattern);
        if let Some(Overlay { path, content, .. }) = &self.overlay {
            found.retain(|known| known != path);
            if content.is_some() && fits_whole(pattern, path) {
                found.push(path.clone());
                found.sort();
            }
        }
        found
    }

    /// The content of the file at `path`, or why there is none.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let read = match &self.overlay {
            Some(over) if over.path == path => match &over.content {
                None => Err("does not exist".to_owned()),
                Some(content) => fitting_size(content.clone()),
            },
            Some(_) | None => read(path),
        };
        let digest = read.as_ref().ok().map(|bytes| Sha256::digest(bytes).into());
        self.contents.borrow_mut().insert(path.to_owned(), digest);
        read
    }

    /// Whether there is no file at `path`.
    pub(crate) fn has_gone(&self, path: &Path) -> bool {
        match self.overlay() {
            Some(over) if over.path == path => over.content.is_none(),
            Some(_) | None => !path.exists(),
        }
    }

    /// Everything that was read.
    pub(crate) fn into_contents(self) -> Contents {
        self.contents.into_inner()
    }
}

/// What the file at `path` holds now.
pub(crate) fn digest(path: &Path) -> Option<ContentDigest> {
    read(path).ok().map(|bytes| Sha256::digest(bytes).into())
}

/// `path` from `base`, without parts that mean nothing, so that one file has one path.
pub(crate) fn join(base: &Path, path: &Path) -> PathBuf {
    base.join(path).components().filter(|part| !matches!(part, Component::CurDir)).collect()
}

/// The content of a regular file, or why there is none.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let data = fs::metadata(path).map_err(|error| why(&error))?;
    if data.is_dir() {
        return Err("is a folder".to_owned());
    }
    // A pipe or a device could keep the program waiting, or never end.
    if !data.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(LARGEST.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| why(&error))?;
    fitting_size(bytes)
}

/// A file that is read, or that is to be written: what cannot be read again is not.
fn fitting_size(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LARGEST) {
        Ok(bytes)
    } else {
        Err(format!("is larger than {LARGEST} bytes"))
    }
}

/// The bytes as the text of a configuration file, or where and why they are none.
pub(crate) fn text(bytes: Vec<u8>) -> Result<String, (Spot, &'static str)> {
    let start = |message| Err((Spot::START, message));
    match bytes.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => {
            return start("begins with a byte order mark; save it as UTF-8 without one");
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            return start("is not UTF-8 but UTF-16 or binary; save it as UTF-8");
        }
        _ => {}
    }
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        return Err((spot_of(&bytes, at), "holds a NUL character"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        (spot_of(error.as_bytes(), at), "is not UTF-8 from here on")
    })
}

fn spot_of(bytes: &[u8], at: usize) -> Spot {
    let before = bytes.get(..at).unwrap_or_default();
    let line = before.split(|b| *b == b'\n').count();
    let last_line = before.rsplit(|b| *b == b'\n').next().unwrap_or_default();
    let is_start = |b: &&u8| **b & 0xc0 != 0x80;
    Spot { line, column: last_line.iter().filter(is_start).count().saturating_add(1) }
}

/// Whether `path` stands for all the files that fit it.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?'])
}

/// The files that fit `pattern`, sorted; `*` and `?` stand for what is within one name, and not for a dot at its start.
pub(crate) fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str();
        found = match name.to_str().filter(|name| is_pattern(name)) {
            Some(wild) => found.iter().flat_map(|folder| entries(folder, wild)).collect(),
            None => found.into_iter().map(|folder| folder.join(name)).collect(),
        };
        found.truncate(MOST_FILES);
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

fn entries(folder: &Path, wild: &str) -> Vec<PathBuf> {
    let folder_or_here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = fs::read_dir(folder_or_here).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        names.map(|entry| entry.file_name()).filter(|name| fits(wild, name)).collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Whether `path` is one that `pattern` would find.
pub(crate) fn fits_whole(pattern: &Path, path: &Path) -> bool {
    let mut names = path.components();
    let each = pattern.components().all(|wild| {
        let (wild, name) = (wild.as_os_str(), names.next());
        name.is_some_and(|name| {
            let name = name.as_os_str();
            wild == name || wild.to_str().is_some_and(|wild| is_pattern(wild) && fits(wild, name))
        })
    });
    each && names.next().is_none()
}

/// The path of a file named after `name` that `pattern` would find, where its folder is a certain one.
pub(crate) fn fitting(pattern: &Path, name: &str) -> Option<PathBuf> {
    let wild = pattern.file_name()?.to_str()?;
    let candidates = [wild.replacen('*', name, 1), format!("{name}.yaml")];
    candidates
        .into_iter()
        .map(|candidate| pattern.with_file_name(candidate))
        .find(|path| !path.to_str().is_none_or(is_pattern) && fits_whole(pattern, path))
}

fn fits(wild: &str, name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let (wild, name): (Vec<char>, Vec<char>) = (wild.chars().collect(), name.chars().collect());
    (name.first() != Some(&'.') || wild.first() == Some(&'.')) && glob(&wild, &name)
}

/// Matches with one point of return, so that many stars cost no more than the product of both lengths.
fn glob(wild: &[char], name: &[char]) -> bool {
    let (mut w, mut n) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match wild.get(w) {
            Some('*') => {
                star = Some((w, n));
                w = w.saturating_add(1);
            }
            Some(c) if *c == '?' || name.get(n) == Some(c) => {
                w = w.saturating_add(1);
                n = n.saturating_add(1);
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken.saturating_add(1)));
                    w = at.saturating_add(1);
                    n = taken.saturating_add(1);
                }
                None => return false,
            },
        }
    }
    wild.get(w..).unwrap_or_default().iter().all(|c| *c == '*')
}

fn why(error: &io::Error) -> String {
    let kind = error.kind();
    if kind == io::ErrorKind::NotFound {
        "does not exist".to_owned()
    } else if kind == io::ErrorKind::PermissionDenied {
        "may not be read by this program".to_owned()
    } else {
        format!("cannot be read: {error}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let fit = |wild: &str, name: &str| fits(wild, OsStr::new(name));
        assert!(
            fit("*.yaml", "a.yaml") && fit("*", "a") && fit("a?c*", "abcd") && fit("*a*b", "xaxb")
        );
        assert!(!fit("*.yaml", ".hidden.yaml") && !fit("*.yaml", "a.yaml~") && !fit("a?c", "ac"));
        assert!(!fit(&"*a".repeat(40), &"a".repeat(39)), "many stars end");
    }

    #[test]
    fn a_new_file_is_where_a_pattern_finds_it() {
        let place = |pattern: &str| fitting(Path::new(pattern), "new");
        assert_eq!(place("policies/*.yaml"), Some("policies/new.yaml".into()));
        assert_eq!(place("/etc/r-*.yml"), Some("/etc/r-new.yml".into()));
        assert_eq!(place("a/*"), Some("a/new".into()));
        assert_eq!(place("a/n*w*.yaml"), Some("a/new.yaml".into()));
        assert_eq!(place("a/ro??er.yaml"), None);
        assert_eq!(place("*/a.yaml"), None);
        assert_eq!(place("*/*.yaml"), None);
        assert!(fits_whole(Path::new("*/a.?"), Path::new("x/a.y")));
        assert!(!fits_whole(Path::new("*/a.?"), Path::new("x/a.y/z")));
        assert!(!fits_whole(Path::new("x/*"), Path::new("x")));
    }

    #[test]
    fn one_file_has_one_path() {
        assert_eq!(
            join(Path::new("conf"), Path::new("./policies/./a.yaml")),
            Path::new("conf/policies/a.yaml")
        );
        assert_eq!(join(Path::new(""), Path::new("./a.yaml")), Path::new("a.yaml"));
        assert_eq!(join(Path::new("conf"), Path::new("/etc/a.yaml")), Path::new("/etc/a.yaml"));
    }

    #[test]
    fn only_plain_text_is_parsed() {
        let said = |bytes: &[u8]| {
            text(bytes.to_vec())
                .map_err(|(spot, message)| format!("{}:{} {message}", spot.line, spot.column))
        };
        assert_eq!(said("ä: 1\n".as_bytes()), Ok("ä: 1\n".to_owned()));
        assert!(said(b"\xef\xbb\xbfa: 1").unwrap_err().contains("byte order mark"));
        assert!(said(b"a\0:\0 \x001\0").unwrap_err().contains("UTF-16"));
        assert_eq!(said("a: 1\nä:\0".as_bytes()), Err("2:3 holds a NUL character".to_owned()));
        assert_eq!(said(b"a: 1\nb: \xff"), Err("2:4 is not UTF-8 from here on".to_owned()));
    }

    #[test]
    fn what_could_not_be_read_again_is_not_laid_over_the_disk() {
        let over = |length: u64| {
            let content = Some(vec![b'x'; usize::try_from(length).unwrap()]);
            let path = PathBuf::from("a.yaml");
            let ledger = Ledger::over(Some(Overlay { path, content, is_draft: false }));
            ledger.read(Path::new("a.yaml")).map(|bytes| bytes.len())
        };
        assert_eq!(over(LARGEST), Ok(4 << 20));
        assert_eq!(over(LARGEST + 1), Err("is larger than 4194304 bytes".to_owned()));
    }

    #[test]
    fn what_is_not_a_file_is_not_read() {
        assert_eq!(read(Path::new("/")), Err("is a folder".to_owned()));
        assert_eq!(read(Path::new("/nowhere/at/all")), Err("does not exist".to_owned()));
        #[cfg(unix)]
        assert_eq!(read(Path::new("/dev/zero")), Err("is not a regular file".to_owned()));
    }
}
