//! Files written whole or not at all: what is new is complete beside the old one before it takes its place.
//!
//! A reader sees the old file or the new one, and so does whoever starts after a power cut. The new file lies in the
//! same folder under a hidden name until then, so that no pattern finds it. Its permissions are those of the old one.
//!
//! A link is followed to what it names, so that it stays a link, but only within its own folder: what lies elsewhere
//! may belong to others. A file or folder that nobody may write to is left alone, even by one who could (root).

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::config::store::WriteFault;

/// Puts `content` in the place of the file at `path`, or makes it.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), WriteFault> {
    let target = destination(path)?;
    let folder = folder_of(&target);
    fs::create_dir_all(folder).map_err(|error| of_io(folder, error))?;
    check_marks(&target, folder)?;
    let fresh = hidden(&target);
    let written = write(&fresh, &target, content);
    if written.is_err() {
        // What cannot be removed was not made, or nobody may remove it.
        let _ = fs::remove_file(&fresh);
    }
    written.map_err(|error| of_io(folder, error))?;
    settle(folder);
    Ok(())
}

/// Removes the file at `path`; a link goes, not what it names. One that is gone already is as it should be.
pub(crate) fn remove(path: &Path) -> Result<(), WriteFault> {
    let folder = folder_of(path);
    check_marks(path, folder)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(of_io(folder, error)),
        Ok(()) | Err(_) => {}
    }
    settle(folder);
    Ok(())
}

/// Why the file at `path` could not be replaced, as far as that can be said without trying.
pub(crate) fn check(path: &Path) -> Result<(), WriteFault> {
    let target = destination(path)?;
    let folder = folder_of(&target);
    check_marks(&target, folder)?;
    let mode = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(folder, mode).map_err(|error| of_io(folder, error.into()))
}

/// Root may write anywhere, so what is marked as read-only is asked for, not only tried.
fn check_marks(target: &Path, folder: &Path) -> Result<(), WriteFault> {
    let is_marked = |path| fs::metadata(path).is_ok_and(|data| data.permissions().readonly());
    if is_marked(folder) {
        return Err(WriteFault::ReadOnly(format!("the folder {} is read-only", folder.display())));
    }
    if is_marked(target) {
        return Err(WriteFault::ReadOnly(format!("the file {} is read-only", target.display())));
    }
    Ok(())
}

fn write(fresh: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(fresh)?;
    if let Ok(old) = fs::metadata(target) {
        keep(&file, &old)?;
    }
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(fresh, target)
}

/// Gives `file` the permissions and, as far as that is allowed, the owner of the `old` one.
fn keep(file: &File, old: &fs::Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        // Only root may give files away; for anyone else the owner is then the writer, as with any editor.
        let _ = fchown(file, Some(old.uid()), Some(old.gid()));
    }
    file.set_permissions(old.permissions())
}

/// The file that `path` names, links followed.
fn destination(path: &Path) -> Result<PathBuf, WriteFault> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink());
    if !is_link {
        return Ok(path.to_owned());
    }
    let folder = folder_of(path);
    let found = fs::canonicalize(path).and_then(|target| Ok((target, fs::canonicalize(folder)?)));
    let (target, inside) = found.map_err(|error| of_io(folder, error))?;
    if target.starts_with(inside) {
        return Ok(target);
    }
    let why = format!(
        "{} is a link to a file elsewhere, {}; change that one",
        path.display(),
        target.display()
    );
    Err(WriteFault::ReadOnly(why))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name beside `target` that no pattern finds.
fn hidden(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    target.with_file_name(name)
}

/// Makes what a folder holds outlast a power cut. What is done is done, even where this fails.
fn settle(folder: &Path) {
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

fn of_io(folder: &Path, error: io::Error) -> WriteFault {
    let refused = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
    if refused.contains(&error.kind()) {
        return WriteFault::ReadOnly(format!("the folder {} is read-only", folder.display()));
    }
    WriteFault::Failed(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("pointsman-write-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("inside")).unwrap();
            Self(path)
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _left = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let place = Place::new("plain");
        let path = place.at("new/a.yaml");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(place.at("new")).unwrap().count(), 1);
        remove(&path).unwrap();
        assert!(!path.exists() && remove(&path).is_ok(), "it is gone, whoever removed it");
    }

    #[test]
    fn what_is_marked_as_read_only_is_left_alone() {
        let place = Place::new("marked");
        let mark = |name: &str, read_only| {
            let mut permissions = fs::metadata(place.at(name)).unwrap().permissions();
            permissions.set_readonly(read_only);
            fs::set_permissions(place.at(name), permissions).unwrap();
        };
        let path = place.at("inside/a.yaml");
        fs::write(&path, "one").unwrap();
        let refused = |fault: Result<(), WriteFault>, what: &str| matches!(fault, Err(WriteFault::ReadOnly(why)) if why.contains(what));
        for (name, what) in [("inside/a.yaml", "the file"), ("inside", "the folder")] {
            mark(name, true);
            assert!(refused(replace(&path, b"two"), what) && refused(remove(&path), what));
            assert!(refused(check(&path), what));
            mark(name, false);
        }
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert!(check(&path).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_kept_and_a_link_stays_one() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let place = Place::new("links");
        let (real, link) = (place.at("inside/real.yaml"), place.at("link.yaml"));
        fs::write(&real, "one").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("inside/real.yaml", &link).unwrap();
        replace(&link, b"two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"two");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        let outside = place.at("inside/outside.yaml");
        symlink("../link.yaml", &outside).unwrap();
        // What lies above the link's own folder is not touched.
        symlink(place.at("elsewhere.yaml"), place.at("inside/dangling.yaml")).unwrap();
        fs::write(place.at("other.yaml"), "theirs").unwrap();
        symlink("../other.yaml", place.at("inside/up.yaml")).unwrap();
        assert!(matches!(
            replace(&place.at("inside/up.yaml"), b"x"),
            Err(WriteFault::ReadOnly(why)) if why.contains("is a link")
        ));
        assert_eq!(fs::read(place.at("other.yaml")).unwrap(), b"theirs");
        assert!(replace(&place.at("inside/dangling.yaml"), b"x").is_err());
        remove(&link).unwrap();
        assert!(real.exists());
    }
}
