//! A copy of the repository, for mistakes to be made in.

use std::path::Path;
use std::{fs, io};

/// Not for building, or made by building: cargo marks the folders that it builds in.
const LEFT_OUT: [&str; 2] = [".git", "target"];
const BUILT: &str = "CACHEDIR.TAG";

/// Makes `to` like `from`, and touches nothing that is so already: what was built from it stays good.
pub(crate) fn renew(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|out| *out == name) {
            continue;
        }
        let (here, there) = (entry.path(), to.join(&name));
        if here.join(BUILT).exists() {
            continue;
        }
        if entry.file_type()?.is_dir() {
            renew(&here, &there)?;
        } else {
            write(&there, &fs::read(&here)?)?;
        }
    }
    for entry in fs::read_dir(to)? {
        let there = entry?.path();
        let is_gone = there.file_name().is_some_and(|name| !from.join(name).exists());
        if is_gone && there.is_file() && there.extension().is_none_or(|end| end != "lock") {
            fs::remove_file(there)?;
        }
    }
    Ok(())
}

fn write(to: &Path, text: &[u8]) -> io::Result<()> {
    if fs::read(to).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(to, text)
}

/// Puts `wrong` in the place of `right`, which must stand there once: if it does not, the code has changed,
/// and the mistake must follow it.
pub(crate) fn put(file: &Path, right: &str, wrong: &str) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    match text.matches(right).count() {
        1 => {}
        other => return Err(format!("stands {other} times in {}: {right}", file.display())),
    }
    fs::write(file, text.replace(right, wrong)).map_err(|error| error.to_string())
}
