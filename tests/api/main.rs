//! What users can name is written down in `api.txt` beside this file, a line each: nothing of it goes, comes or changes by
//! accident. After a change that is meant, `LOOPBIND_API=write cargo test --test api` writes it anew; the difference
//! belongs in the same commit.

mod expand;
mod habits;
mod source;
mod surface;

use std::fs;
use std::path::Path;

use source::Source;
use surface::surface;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What users depend on.
fn front() -> Source {
    Source::open(&here().join("src/lib.rs"))
}

fn runtime() -> Source {
    Source::open(&here().join("loopbind-runtime/src/lib.rs"))
}

fn macros() -> Source {
    Source::open(&here().join("loopbind-macros/src/lib.rs"))
}

#[test]
fn what_users_can_name_is_what_is_written_down() {
    let lines = surface(&front(), &runtime());
    let file = here().join("tests/api/api.txt");
    if std::env::var_os("LOOPBIND_API").is_some_and(|wish| wish == "write") {
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        return;
    }
    let written = fs::read_to_string(&file).unwrap();
    let written: Vec<_> = written.lines().collect();
    let gone = written.iter().filter(|line| !lines.iter().any(|it| it == *line));
    let come = lines.iter().filter(|line| !written.contains(&line.as_str()));
    let difference: Vec<_> =
        gone.map(|line| format!("- {line}")).chain(come.map(|line| format!("+ {line}"))).collect();
    assert!(
        difference.is_empty(),
        "the surface is not what tests/api/api.txt says; if that is meant, write it anew with\n\
         LOOPBIND_API=write cargo test --test api\n{}",
        difference.join("\n")
    );
}

/// The reader itself: by the doors, not by where things are; what is written for two types by a macro, twice; what is
/// private, hidden or for tests, not at all.
#[test]
fn what_is_seen_is_told_from_what_is_not() {
    let front = Source::of(
        "pub use loopbind_macros::attribute;
         pub use loopbind_runtime::{Shown, room, sleep as nap};
         pub mod hall { pub use loopbind_runtime::room::*; }
         #[doc(hidden)] pub use loopbind_runtime::__private;",
    );
    let runtime = Source::of(
        "mod inner {
             use super::room::Wide;
             #[derive(Clone, Copy)] #[non_exhaustive]
             pub struct Shown { pub seen: u8, unseen: u8 }
             impl Shown {
                 pub fn of(mut self, (a, b): (u8, u8)) -> std::io::Result<()> where u8: Copy, { }
                 #[doc(hidden)] pub fn hidden(&self) {}
                 fn private(&self) {}
                 #[cfg(test)] pub fn tested(&self) {}
             }
             impl From<Hidden> for Shown { fn from(_: Hidden) -> Self {} }
             impl From<Shown> for u8 { fn from(_: Shown) -> Self {} }
             impl Iterator for Shown { type Item = Wide<u8>; fn next(&mut self) -> Option<Wide<u8>> {} }
             struct Hidden;
             trait Private {}
             impl Private for Shown {}
             pub fn unreachable() {}
         }
         mod sleep { pub async fn sleep(mut time: u64) {} }
         pub mod room {
             macro_rules! known { ($($of:ty: $by:expr;)*) => { $( impl Named for $of {} )* }; }
             known! { u8: 1; Wide<u8>: 2; }
             pub trait Named: Clone { type By; fn name(&self) -> u8 { 1 } fn other(&self); }
             pub struct Wide<T>(pub T);
             impl<T: Copy> Wide<T> { pub const ZERO: u8 = 0; pub fn get(&self) -> T {} }
             pub enum Either { Left, Right { it: u8 } }
             pub mod deep { pub const DEPTH: u8 = 1; }
         }
         pub use inner::Shown;
         pub use sleep::sleep;
         pub mod unopened { pub fn unopened() {} }",
    );
    let expected = "loopbind::Shown.seen: u8
loopbind::Shown: #[non_exhaustive] struct
loopbind::Shown: derives Clone
loopbind::Shown: derives Copy
loopbind::Shown: impl From<Shown> for u8
loopbind::Shown: impl Iterator for Shown { type Item = Wide<u8> }
loopbind::Shown::of: fn of(self, _: (u8, u8)) -> io::Result<()> where u8: Copy
loopbind::attribute: attribute
loopbind::hall: mod
loopbind::hall::Either: is loopbind::room::Either
loopbind::hall::Named: is loopbind::room::Named
loopbind::hall::Wide: is loopbind::room::Wide
loopbind::hall::deep: mod
loopbind::hall::deep::DEPTH: is loopbind::room::deep::DEPTH
loopbind::nap: async fn sleep(time: u64)
loopbind::room: mod
loopbind::room::Either: enum
loopbind::room::Either::Left: variant
loopbind::room::Either::Right.it: u8
loopbind::room::Either::Right: variant
loopbind::room::Named: impl Named for u8
loopbind::room::Named: trait above Clone
loopbind::room::Named::By: type
loopbind::room::Named::name: provided fn name(&self) -> u8
loopbind::room::Named::other: fn other(&self)
loopbind::room::Wide.0: T
loopbind::room::Wide: impl Named for Wide<u8>
loopbind::room::Wide: struct<T>
loopbind::room::Wide::ZERO: impl<T: Copy> Wide<T>: const u8
loopbind::room::Wide::get: impl<T: Copy> Wide<T>: fn get(&self) -> T
loopbind::room::deep: mod
loopbind::room::deep::DEPTH: const u8";
    assert_eq!(surface(&front, &runtime).join("\n"), expected);
}
