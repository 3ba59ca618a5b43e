//! Where the configuration lies, and how the file of one router is changed there.
//!
//! A change is first loaded: the whole configuration as it would be, through the checks of every start and reload. Only
//! what loaded without a mistake is written. A configuration that is no file (the demo's) is kept in memory and takes
//! the same changes through the same checks.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use parking_lot::Mutex;

use crate::{
    config::{
        LoadOptions, Loaded, Refused,
        fault::shown_file,
        load, load_over, load_texts, secret,
        source::{self, Overlay},
        write,
    },
    ids::RouterName,
};

/// As many names are tried for the file of a new router.
const NAMES: usize = 100;

/// Where a configuration lies.
pub struct Store {
    place: Place,
    options: LoadOptions,
}

enum Place {
    /// The main file, and when router files came to be that were replaced since: a new file takes their place, and the
    /// system would say that the router is as new as that.
    Files { main: PathBuf, born: Mutex<BTreeMap<PathBuf, SystemTime>> },
    /// The main text and its name, and router files by name.
    Memory { main: (String, String), routers: Mutex<BTreeMap<PathBuf, Kept>> },
}

#[derive(Clone)]
struct Kept {
    text: String,
    times: Times,
}

/// When a file came to be, and when it last changed.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// When it came to be.
    pub created: SystemTime,
    /// When it last changed.
    pub updated: SystemTime,
}

/// The file of one router as it is to become.
#[derive(Debug, Clone)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// What it is to hold; `None` where it is to go.
    pub text: Option<String>,
}

/// Why a file was not written. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum WriteFault {
    /// Nobody is to write there.
    #[error("{0}")]
    ReadOnly(String),
    /// The system could not.
    #[error("the file cannot be written: {0}")]
    Failed(#[source] io::Error),
}

impl Change {
    /// The file, as faults name it.
    pub fn file(&self) -> String {
        shown_file(&self.path)
    }
}

impl Store {
    /// The configuration whose main file is at `path`.
    pub fn files(path: &Path, options: LoadOptions) -> Self {
        let place = Place::Files { main: path.to_owned(), born: Mutex::default() };
        Self { place, options }
    }

    /// A configuration that is no file, as [`load_texts`] takes it.
    pub fn memory(
        main: (&str, &str),
        routers: &[(&str, &str)],
        options: LoadOptions,
        now: SystemTime,
    ) -> Self {
        let kept = |(name, text): &(&str, &str)| {
            let times = Times { created: now, updated: now };
            (PathBuf::from(name), Kept { text: (*text).to_owned(), times })
        };
        let routers = Mutex::new(routers.iter().map(kept).collect());
        let main = (main.0.to_owned(), main.1.to_owned());
        Self { place: Place::Memory { main, routers }, options }
    }

    /// Loads it as it is.
    pub fn load(&self) -> Result<Loaded, Refused> {
        match &self.place {
            Place::Files { main, .. } => load(main, &self.options),
            Place::Memory { main, routers } => {
                let routers = routers.lock().clone();
                self.load_memory(main, &routers)
            }
        }
    }

    /// Loads it as it would be after `change`; a draft counts as a router file wherever it would lie.
    pub fn load_with(&self, change: &Change, is_draft: bool) -> Result<Loaded, Refused> {
        let Change { path, text } = change.clone();
        match &self.place {
            Place::Files { main, .. } => {
                let content = text.map(String::into_bytes);
                let overlay = Overlay { path, content, is_draft };
                load_over(main, &self.options, &secret::process_environment, Some(overlay))
            }
            Place::Memory { main, routers } => {
                let mut routers = routers.lock().clone();
                put(&mut routers, change, SystemTime::UNIX_EPOCH);
                self.load_memory(main, &routers)
            }
        }
    }

    fn load_memory(
        &self,
        (name, text): &(String, String),
        routers: &BTreeMap<PathBuf, Kept>,
    ) -> Result<Loaded, Refused> {
        let names: Vec<_> = routers.keys().map(|path| path.to_string_lossy()).collect();
        let texts = routers.values().map(|kept| kept.text.as_str());
        let routers: Vec<(&str, &str)> = names.iter().map(AsRef::as_ref).zip(texts).collect();
        load_texts((name, text), &routers, &self.options)
    }

    /// Makes the change, whole or not at all.
    pub fn apply(&self, change: &Change, now: SystemTime) -> Result<(), WriteFault> {
        match (&self.place, &change.text) {
            (Place::Files { born, .. }, Some(text)) => {
                let before = self.times(&change.path);
                write::replace(&change.path, text.as_bytes())?;
                if let Some(before) = before {
                    born.lock().insert(change.path.clone(), before.created);
                }
                Ok(())
            }
            (Place::Files { born, .. }, None) => {
                write::remove(&change.path)?;
                born.lock().remove(&change.path);
                Ok(())
            }
            (Place::Memory { routers, .. }, _) => {
                put(&mut routers.lock(), change, now);
                Ok(())
            }
        }
    }

    /// What the file at `path` holds now; `None` where it cannot be read.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        match &self.place {
            Place::Files { .. } => source::read(path).ok(),
            Place::Memory { routers, .. } => {
                Some(routers.lock().get(path)?.text.clone().into_bytes())
            }
        }
    }

    /// When the file at `path` came to be and last changed, where that is known.
    pub fn times(&self, path: &Path) -> Option<Times> {
        match &self.place {
            Place::Files { born, .. } => {
                let data = fs::metadata(path).ok()?;
                let updated = data.modified().ok()?;
                let born = born.lock().get(path).copied().unwrap_or(updated);
                let created = data.created().unwrap_or(updated).min(updated).min(born);
                Some(Times { created, updated })
            }
            Place::Memory { routers, .. } => Some(routers.lock().get(path)?.times),
        }
    }

    /// Why the file at `path` cannot be changed, as far as that is known without trying.
    pub fn check_writable(&self, path: &Path) -> Result<(), WriteFault> {
        match &self.place {
            Place::Files { .. } => write::check(path),
            Place::Memory { .. } => Ok(()),
        }
    }

    /// Where the file of a new router would lie, so that one of `patterns` finds it.
    pub fn place_for(&self, name: &RouterName, patterns: &[PathBuf]) -> Option<PathBuf> {
        let free = |path: &PathBuf| match &self.place {
            Place::Files { .. } => fs::symlink_metadata(path).is_err(),
            Place::Memory { routers, .. } => !routers.lock().contains_key(path),
        };
        let default = [PathBuf::from("*.yaml")];
        let patterns = match &self.place {
            Place::Files { .. } => patterns,
            Place::Memory { .. } => &default,
        };
        let names = || {
            let more = (2..NAMES).map(|number| format!("{name}-{number}"));
            std::iter::once(name.to_string()).chain(more)
        };
        patterns.iter().find_map(|pattern| {
            names().filter_map(|name| source::fitting(pattern, &name)).find(free)
        })
    }

    /// Where a text is checked that has no place yet.
    pub fn draft_path(&self) -> PathBuf {
        match &self.place {
            Place::Files { main, .. } => main.with_file_name("draft.yaml"),
            Place::Memory { .. } => PathBuf::from("draft.yaml"),
        }
    }
}

fn put(routers: &mut BTreeMap<PathBuf, Kept>, change: &Change, now: SystemTime) {
    let Change { path, text } = change;
    match text {
        None => drop(routers.remove(path)),
        Some(text) => {
            let created = routers.get(path).map_or(now, |kept| kept.times.created);
            let times = Times { created, updated: now };
            routers.insert(path.clone(), Kept { text: text.clone(), times });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_came_to_be_when_the_first_one_did() {
        let folder = std::env::temp_dir().join(format!("pointsman-store-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.yaml");
        let store = Store::files(&folder.join("pointsman.yaml"), LoadOptions::default());
        let put = |text: &str| {
            let change = Change { path: path.clone(), text: Some(text.to_owned()) };
            store.apply(&change, SystemTime::UNIX_EPOCH).unwrap();
            store.times(&path).unwrap()
        };
        let (first, second, third) = (put("a"), put("b"), put("c"));
        assert_eq!([second.created, third.created], [first.created; 2]);
        assert!(third.updated >= first.updated);
        store.apply(&Change { path: path.clone(), text: None }, SystemTime::UNIX_EPOCH).unwrap();
        assert!(store.times(&path).is_none());
        fs::remove_dir_all(&folder).unwrap();
    }
}
