//! Changes on disk: each asks for exactly one reload, however it is made.

use std::{fs, time::Duration};

use tokio::sync::mpsc;

use crate::config::{
    tests::{Folder, MINIMAL, READING, ROUTER},
    watch::{self, Watch},
};

/// A folder whose files are watched.
struct Watched {
    folder: Folder,
    watch: Watch,
    asked: mpsc::Receiver<()>,
}

impl Watched {
    fn new(folder: Folder) -> Self {
        let (requests, asked) = watch::requests();
        let watch = Watch::new(folder.load(&READING).ok().unwrap().watched, requests);
        Self { folder, watch, asked }
    }

    /// Waits for a request; without one the test hangs until its runner ends it.
    async fn is_asked(&mut self) {
        self.asked.recv().await.unwrap();
    }

    /// Fails where a request comes within several looks.
    async fn is_not_asked(&mut self) {
        let wait = Duration::from_millis(1_200);
        assert!(
            tokio::time::timeout(wait, self.asked.recv()).await.is_err(),
            "no change, no request"
        );
    }

    /// Loads as the process does, and says whether it could.
    fn reload(&self) -> bool {
        let result = self.folder.load(&READING);
        let loaded = result.is_ok();
        self.watch.follow(result.map_or_else(|refused| refused.watched, |loaded| loaded.watched));
        loaded
    }
}

fn with_key() -> String {
    MINIMAL.replace("allow_private", "api_key: file:a.key, allow_private")
}

/// A way to change files, and whether what is there then can be loaded.
type Change = (fn(&Folder), bool);

const CHANGES: [Change; 8] = [
    // In place.
    (|folder| drop(folder.write("pointsman.yaml", format!("{}drain: 1s\n", with_key()))), true),
    // Emptied first, written later.
    (|folder| drop(folder.write("pointsman.yaml", "")), false),
    // Renamed over, as editors do.
    (
        |folder| {
            folder.write("new", with_key());
            fs::rename(folder.0.join("new"), folder.0.join("pointsman.yaml")).unwrap();
        },
        true,
    ),
    // New under a pattern.
    (|folder| drop(folder.write("policies/b.yaml", ROUTER.replace("support", "other"))), true),
    // Gone from a pattern.
    (|folder| fs::remove_file(folder.0.join("policies/b.yaml")).unwrap(), true),
    // A secret rotated.
    (|folder| drop(folder.write("a.key", "canary-2")), true),
    // The main file deleted.
    (|folder| fs::remove_file(folder.0.join("pointsman.yaml")).unwrap(), false),
    // And back.
    (|folder| drop(folder.write("pointsman.yaml", MINIMAL)), true),
];

#[tokio::test]
async fn every_way_to_change_a_file_asks_once() {
    let folder = Folder::new("changes");
    folder.write("a.key", "canary");
    folder.write("policies/a.yaml", ROUTER);
    folder.write("pointsman.yaml", with_key());
    let mut watched = Watched::new(folder);
    let run = watched.watch.clone().run();
    let scenario = async {
        watched.is_not_asked().await;
        for (index, (change, loads)) in CHANGES.into_iter().enumerate() {
            change(&watched.folder);
            watched.is_asked().await;
            assert_eq!(watched.reload(), loads, "change {index}");
        }
        watched.folder.write("pointsman.yaml", MINIMAL);
        watched.is_not_asked().await;
    };
    tokio::select! {
        () = run => {}
        () = scenario => {}
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_swapped_as_kubernetes_does_asks_once() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("links");
    for (version, drain) in [("one", "1s"), ("two", "2s")] {
        fs::create_dir(folder.0.join(version)).unwrap();
        folder.write(&format!("{version}/pointsman.yaml"), format!("{MINIMAL}drain: {drain}\n"));
    }
    symlink("one", folder.0.join("..data")).unwrap();
    symlink("..data/pointsman.yaml", folder.0.join("pointsman.yaml")).unwrap();
    let mut watched = Watched::new(folder);
    let run = watched.watch.clone().run();
    let scenario = async {
        watched.is_not_asked().await;
        symlink("two", watched.folder.0.join("..data_tmp")).unwrap();
        fs::rename(watched.folder.0.join("..data_tmp"), watched.folder.0.join("..data")).unwrap();
        watched.is_asked().await;
        let loaded = watched.folder.load(&READING).ok().unwrap();
        assert_eq!(loaded.catalog.settings.drain, Duration::from_secs(2));
        watched.watch.follow(loaded.watched);
        watched.is_not_asked().await;
    };
    tokio::select! {
        () = run => {}
        () = scenario => {}
    }
}
