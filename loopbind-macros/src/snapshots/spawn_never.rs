//! ```text
//! #[loop_thread(spawn)]
//! fn worker() -> ! {
//!     loop {}
//! }
//! ```

fn worker() -> ::loopbind::__private::LoopThread<
    <::loopbind::__private::core::iter::RepeatWith<
        fn() -> !,
    > as ::loopbind::__private::core::iter::Iterator>::Item,
> {
    fn __loopbind_body() -> ! {
        loop {}
    }
    use ::loopbind::__private as __loopbind;
    __loopbind::spawn_plain_thread(
        __loopbind::Setup::new("worker"),
        move || { __loopbind_body() },
    )
}
