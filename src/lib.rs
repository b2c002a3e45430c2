//! asyncio's event loop for Rust: bound to a thread, found by one function, run by two attributes.

pub use loopbind_runtime::{
    AbortOnDrop, BlockingTask, Bound, Builder, EventLoop, ExceptionContext, Handle, Join,
    LoopError, LoopHandle, LoopId, Metrics, PanicPayload, RemoteTask, Runner, Task, TaskBuilder,
    TaskError, TaskId, TaskInfo, TaskState, TimerHandle, Turn, UnhandledPanic, get_bound_loop,
    get_event_loop, get_running_loop, main_loop, new_event_loop, run, set_event_loop, sleep,
    sleep_until, spawn, spawn_blocking, timeout, timeout_at, yield_now,
};
#[doc(inline)]
pub use loopbind_runtime::{task, thread, time};

#[doc(hidden)]
pub use loopbind_runtime::__private;
