//! At the top, in a module, in a function, in an impl, in a trait.
#![deny(
    warnings,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    rust_2018_idioms,
    unused_qualifications,
    unreachable_pub
)]
#![forbid(unsafe_code)]

mod inner {
    #[loopbind::loop_main]
    pub(super) async fn in_a_module() -> u32 {
        std::future::ready(1).await
    }
}

struct Place;

impl Place {
    #[loopbind::loop_thread]
    async fn in_an_impl() -> u32 {
        std::future::ready(2).await
    }

    #[loopbind::loop_main]
    fn also_main() -> u32 {
        3
    }
}

impl<T> Generic<T> {
    #[loopbind::loop_thread]
    async fn in_a_generic_impl(value: T) -> Generic<T> {
        // `Self` is how the attribute knows of the type around it.
        std::future::ready(Self(value)).await
    }
}

struct Generic<T>(T);

fn main() {
    #[loopbind::loop_thread]
    async fn in_a_function() -> u32 {
        std::future::ready(4).await
    }

    assert_eq!(inner::in_a_module(), 1);
    assert_eq!(Place::in_an_impl(), 2);
    assert_eq!(Place::also_main(), 3);
    assert_eq!(in_a_function(), 4);
    assert_eq!(Generic::in_a_generic_impl(5).0, 5);
}
