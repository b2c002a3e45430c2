//! The house keeps its rules: floors, one room for ambient state, few rooms with `unsafe`, one that
//! polls and sleeps. `ARCHITECTURE.md` says why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors of `loopbind-runtime/src`, lowest first: a module imports from its own and from lower
/// ones only.
const FLOORS: [&[&str]; 7] = [
    &[
        "error", "atomic", "ids", "panic", "clock", "context", "current", "sys", "sync", "trace",
        "blocking",
    ],
    &["attention", "inbox", "ready", "timers"],
    &["reactor", "task"],
    &["engine"],
    &["binding"],
    &["event_loop"],
    &["group", "hyper", "io", "net", "process", "signal", "time"],
];

/// What rooms take from the crate's root, and the floor it comes from; the rest of such names stand
/// in documentation only.
const ROOT_NAMES: [(&str, usize); 3] = [("LoopError", 0), ("LoopId", 0), ("PanicPayload", 0)];

/// The only files with `unsafe` in them.
const UNSAFE: [&str; 24] = [
    "engine/main_future.rs",
    "engine/mod.rs",
    "hyper/io.rs",
    "inbox.rs",
    "ready.rs",
    "sync/place.rs",
    "sys/epoll_pwait2.rs",
    "sys/epoll_remove.rs",
    "sys/portable.rs",
    "sys/process.rs",
    "sys/quiet_write.rs",
    "sys/signals.rs",
    "task/anchor.rs",
    "task/birth.rs",
    "task/context.rs",
    "task/custody.rs",
    "task/header.rs",
    "task/home.rs",
    "task/join.rs",
    "task/life.rs",
    "task/memory.rs",
    "task/raw.rs",
    "task/remains.rs",
    "task/waker.rs",
];

struct Room {
    /// Relative to `loopbind-runtime/src`.
    path: String,
    text: String,
    /// Without comments, strings' contents kept, and without the tests at the end.
    code: String,
}

fn rooms() -> Vec<Room> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("loopbind-runtime/src");
    let mut rooms = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                rooms.push(Room::open(&root, path));
            }
        }
    }
    assert!(rooms.len() > 30, "found {} rooms: is this the right house?", rooms.len());
    rooms
}

impl Room {
    fn open(root: &Path, path: PathBuf) -> Room {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let code = code.lines().map(|line| match line.find("//") {
            // A URL in a string is no comment; there is none in code.
            Some(comment) => &line[..comment],
            None => line,
        });
        let code = code.collect::<Vec<_>>().join("\n");
        let path = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        Room { path, text, code }
    }

    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

#[test]
fn imports_go_down() {
    let mut wrong = Vec::new();
    for room in rooms().iter().filter(|room| room.path != "lib.rs") {
        let Some(floor) = floor_of(room.module()) else {
            wrong.push(format!("{}: which floor is it on?", room.path));
            continue;
        };
        assert!(!room.code.contains("crate::{"), "{}: a line for each module", room.path);
        for use_of in room.code.split("crate::").skip(1) {
            let names =
                use_of.strip_prefix('{').map_or(use_of, |list| list.split('}').next().unwrap());
            let first = names.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let from = floor_of(first).or_else(|| {
                ROOT_NAMES.iter().find(|(name, _)| *name == first).map(|(_, floor)| *floor)
            });
            match from {
                Some(from) if from <= floor => {}
                Some(from) => {
                    wrong.push(format!(
                        "{} (floor {floor}) imports {first} (floor {from})",
                        room.path
                    ));
                }
                None => wrong.push(format!("{}: unknown module {first}", room.path)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ambient_state_stands_in_two_rooms() {
    let rooms = rooms();
    let with: Vec<_> = rooms
        .iter()
        .filter(|room| room.code.contains("thread_local!"))
        .map(|room| &room.path)
        .collect();
    assert_eq!(sorted(with), ["binding.rs", "current.rs"]);
}

#[test]
fn only_a_turn_runs_entries_and_sleeps() {
    let rooms = rooms();
    let calls = |call: &str| {
        let found = rooms.iter().filter(|room| room.code.contains(call)).map(|room| &room.path);
        sorted(found.collect())
    };
    assert_eq!(calls(".run_next()"), ["engine/turn.rs"]);
    assert_eq!(calls("reactor.look("), ["engine/turn.rs"]);
    assert_eq!(calls("life::run("), ["task/home.rs"], "what `run_next` is made of");
}

#[test]
fn unsafe_stands_in_its_rooms_and_each_block_is_argued() {
    let mut with = BTreeMap::new();
    for room in rooms() {
        let blocks = room.code.matches("unsafe {").count();
        if room.code.contains("unsafe ") {
            with.insert(room.path.clone(), (blocks, room.text.matches("// SAFETY:").count()));
        }
    }
    let rooms: Vec<_> = with.keys().map(String::as_str).collect();
    assert_eq!(rooms, UNSAFE);
    for (room, (blocks, arguments)) in with {
        assert!(arguments > 0 || blocks == 0, "{room} argues none of its {blocks} blocks");
    }
}

/// `SECURITY.md` says when each of them does.
#[test]
fn few_rooms_can_end_the_process() {
    let ways = ["process::abort()", "process::exit(", "_exit(", "libc::raise(", "libc::kill("];
    let rooms = rooms();
    let can: Vec<_> = rooms
        .iter()
        .filter(|room| ways.iter().any(|way| room.code.contains(way)))
        .map(|room| &room.path)
        .collect();
    let listed = ["event_loop/interrupt.rs", "sys/signals.rs", "task/refs.rs"];
    assert_eq!(sorted(can), listed);
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md"));
    let page = page.unwrap();
    for room in listed {
        assert!(page.contains(&format!("`{room}`")), "SECURITY.md does not argue {room}");
    }
}

/// A reason for a line that is gone is a reason for nothing.
#[test]
fn what_is_said_to_be_reached_by_no_test_stands_in_its_room() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("lanes/uncovered.md");
    let page = fs::read_to_string(page).unwrap();
    let rooms = rooms();
    let mut gone = Vec::new();
    for part in page.split("\n## `").skip(1) {
        let (name, listed) = part.split_once("`\n").unwrap();
        assert!(UNSAFE.contains(&name), "{name} is listed, and has no `unsafe`");
        let room = rooms.iter().find(|room| room.path == name).unwrap();
        for (line, _) in
            listed.lines().filter_map(|line| line.strip_prefix("- `")?.split_once("`: "))
        {
            if !room.text.lines().any(|it| it.trim() == line) {
                gone.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(gone.is_empty(), "lanes/uncovered.md lists what is gone:\n{}", gone.join("\n"));
}

#[test]
fn every_room_says_what_it_is_for_and_has_one_idea() {
    for room in rooms() {
        assert!(room.text.starts_with("//! "), "{} does not say what it is for", room.path);
        let lines = room.text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines: two ideas", room.path);
        assert!(!room.path.contains("util"), "{}: a name that says nothing", room.path);
    }
}

#[test]
fn the_macros_and_the_front_door_have_no_unsafe() {
    for file in ["src/lib.rs", "loopbind-macros/src/lib.rs"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{file}");
    }
}

fn sorted(mut paths: Vec<&String>) -> Vec<&str> {
    paths.sort();
    paths.into_iter().map(String::as_str).collect()
}
