//! ```text
//! #[loop_thread(spawn, stack_size = 1 << 20, core = 0)]
//! async fn worker(names: Vec<String>, limit: usize) -> Result<usize, Error> {
//!     Ok(0)
//! }
//! ```

fn worker(
    names: Vec<String>,
    limit: usize,
) -> ::loopbind::__private::LoopThread<Result<usize, Error>> {
    async fn __loopbind_body(names: Vec<String>, limit: usize) -> Result<usize, Error> {
        Ok(0)
    }
    use ::loopbind::__private as __loopbind;
    type __LoopbindPacked = __loopbind::std::boxed::Box<
        dyn __loopbind::core::any::Any + __loopbind::core::marker::Send,
    >;
    struct __LoopbindArgument<T> {
        packed: __LoopbindPacked,
        unpack: fn(__LoopbindPacked) -> T,
    }
    impl<T> __LoopbindArgument<T> {
        fn pack(__loopbind_value: T) -> Self
        where
            T: __loopbind::core::marker::Send + 'static,
        {
            Self {
                packed: __loopbind::std::boxed::Box::new(__loopbind_value),
                unpack: |__loopbind_packed| {
                    *__loopbind_packed.downcast().expect("what was packed")
                },
            }
        }
        fn unpack(self) -> T {
            (self.unpack)(self.packed)
        }
    }
    let names = (names,);
    let names = __LoopbindArgument::pack(names.0);
    let limit = (limit,);
    let limit = __LoopbindArgument::pack(limit.0);
    __loopbind::spawn_thread(
        __loopbind::Setup::new("worker").stack_size(1 << 20).core(0),
        move || { __loopbind_body(names.unpack(), limit.unpack()) },
    )
}
