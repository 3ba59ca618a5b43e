//! Embeds the built pages of `src/web/dist`, where they are: a table of names and bytes that `server::admin::pages`
//! includes. Without them the table is empty, and the program builds all the same.

#![expect(clippy::print_stdout, reason = "cargo is told over standard output")]

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    let built = root.join("dist");
    let mut files = Vec::new();
    if built.join("index.html").is_file() {
        println!("cargo::rerun-if-changed=src/web/dist");
        list(&built, &mut files)?;
    } else {
        // A folder that is not there would make cargo run this again for every build.
        println!("cargo::rerun-if-changed=src/web");
    }
    println!("cargo::rerun-if-changed=.ci/pages.rs");
    files.sort();
    let mut table = String::from("[\n");
    for file in &files {
        let name = file.strip_prefix(&built)?.to_string_lossy().replace('\\', "/");
        writeln!(table, "    ({name:?}, include_bytes!({:?}).as_slice()),", file.display())?;
    }
    table.push_str("]\n");
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(PathBuf::from(folder).join("pages.rs"), table)?;
    Ok(())
}

/// Every file below `folder`.
fn list(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
