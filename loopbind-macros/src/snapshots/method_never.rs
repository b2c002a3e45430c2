//! ```text
//! #[loop_thread()]
//! fn work(self) -> ! {
//!     loop {}
//! }
//! ```

fn work(self) -> ! {
    use ::loopbind::__private as __loopbind;
    __loopbind::bind_thread(
        __loopbind::Setup::new("work"),
        move || -> ! {
            let _ = &self;
            match () {
                () => loop {}
            }
        },
    )
}
