//! ```text
//! #[loop_main()]
//! async fn start(#[cfg(unix)] socket: u32, #[cfg(windows)] pipe: u32, #[allow(unused)] always: u32) {}
//! ```

fn start(#[cfg(unix)] socket: u32, #[cfg(windows)] pipe: u32, always: u32) {
    async fn __loopbind_body(
        #[cfg(unix)]
        socket: u32,
        #[cfg(windows)]
        pipe: u32,
        #[allow(unused)]
        always: u32,
    ) {}
    use ::loopbind::__private as __loopbind;
    __loopbind::run_main(
        __loopbind::Setup::new("start"),
        move || {
            #[cfg(all(not(all(unix)), not(all(windows))))] { __loopbind_body(always) }
            #[cfg(all(all(unix), not(all(windows))))] { __loopbind_body(socket, always) }
            #[cfg(all(not(all(unix)), all(windows)))] { __loopbind_body(pipe, always) }
            #[cfg(all(all(unix), all(windows)))]
            { __loopbind_body(socket, pipe, always) }
        },
    )
}
