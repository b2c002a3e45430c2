//! Takes the place of std for the runtime, under std's own name: what is about threads is
//! [shuttle](https://docs.rs/shuttle)'s, time is the model's, and the rest is std as it stands.
//!
//! A word is as a scheduler sees it, one access at a time in one order for all: what only weaker orders
//! of memory can bring about is loom's to find. `AtomicU64` stays std's: the runtime counts and names with it,
//! and decides nothing by it that another thread changes.

pub use ::std::*;

/// What every file has without asking, `thread_local!` among it.
pub mod prelude {
    pub use ::std::prelude::*;

    pub mod rust_2024 {
        pub use ::std::prelude::rust_2024::*;

        pub use crate::thread_local;
    }
}

pub mod sync;
pub mod thread;
pub mod time;

/// As std's, for the scheduler's threads, which are one thread to the system.
#[macro_export]
macro_rules! thread_local {
    ($($(#[$about:meta])* $vis:vis static $name:ident: $of:ty = const { $value:expr };)*) => {
        $($(#[$about])* $vis static $name: $crate::thread::LocalKey<$of> =
            $crate::thread::LocalKey::new(|| $value);)*
    };
}
