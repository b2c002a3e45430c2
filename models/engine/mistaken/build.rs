//! Copies the runtime's files, with the mistakes in them.

use std::path::{Path, PathBuf};
use std::{env, fs};

include!("mistakes.rs");

fn main() {
    let sound = Path::new("../../../loopbind-runtime/src");
    let copy = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    println!("cargo::rerun-if-changed={}", sound.display());
    println!("cargo::rerun-if-changed=mistakes.rs");
    copy_all(sound, &copy);
    for (name, edits) in MISTAKES {
        for Edit { file, right, instead } in edits {
            let path = copy.join(file);
            let text = fs::read_to_string(&path).expect("a file of the runtime's");
            let found = text.matches(right).count();
            assert_eq!(found, 1, "`{name}`: the lines stand {found} times in {file}: {right}");
            let made = format!("crate::is_made({name:?})");
            let instead = instead.replace("RIGHT", right).replace("MADE", &made);
            fs::write(&path, text.replace(right, &instead)).expect("room for a copy");
        }
    }
    // Included in a file that opens by itself, and has the attributes of a crate.
    let root = copy.join("lib.rs");
    let text = fs::read_to_string(&root).expect("the runtime's root");
    let lines = text.lines().filter(|line| !line.starts_with("//!") && !line.starts_with("#!["));
    fs::write(&root, lines.collect::<Vec<_>>().join("\n")).expect("room for a copy");
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room for a copy");
    for entry in fs::read_dir(from).expect("the runtime's files") {
        let path = entry.expect("the runtime's files").path();
        let copy = to.join(path.file_name().expect("a file or a folder has a name"));
        if path.is_dir() {
            copy_all(&path, &copy);
        } else {
            fs::copy(&path, &copy).expect("room for a copy");
        }
    }
}
