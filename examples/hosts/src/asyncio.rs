//! A loop for a host that is not written in Rust: what asyncio asks of one, with a C ABI. `asyncio_host.py` is that
//! host.
//!
//! ```sh
//! cd examples/hosts && cargo build --example guest
//! python3 src/asyncio_host.py target/debug/examples/libguest.so
//! ```

use std::ffi::{c_double, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use loopbind::{EventLoop, LoopError, LoopHandle, sleep};

// The recipe.
/// What a foreign host has of a loop. Its language does not know whose thread is whose, so that each call asks.
pub struct Guest {
    event_loop: EventLoop,
    home: ThreadId,
}

/// Calls `f` with the guest, on the guest's thread. Elsewhere, and where `f` fails or panics, it is `refused`.
///
/// # Safety
/// `guest` is null, or came from `guest_new` and was not freed.
unsafe fn with<R>(
    guest: *const Guest,
    refused: R,
    f: impl FnOnce(&Guest) -> Result<R, LoopError>,
) -> R {
    // SAFETY: the caller's promise; what is read here never changes, and may be read by any thread.
    if guest.is_null() || unsafe { (*guest).home } != thread::current().id() {
        return refused;
    }
    // SAFETY: as above, and on its own thread.
    let guest = unsafe { &*guest };
    // No panic may leave a function of C's.
    match catch_unwind(AssertUnwindSafe(|| f(guest))) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            eprintln!("guest: {error}");
            refused
        }
        Err(_) => refused,
    }
}

/// A loop of this thread, or null.
#[unsafe(no_mangle)]
pub extern "C" fn guest_new() -> *mut Guest {
    match EventLoop::new() {
        Ok(event_loop) => {
            Box::into_raw(Box::new(Guest { event_loop, home: thread::current().id() }))
        }
        Err(_) => ptr::null_mut(),
    }
}

/// The descriptor to watch, which is the loop's: not to be closed. It lives as long as the guest.
///
/// # Safety
/// Of all of these: `guest` came from `guest_new`, and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guest_fileno(guest: *const Guest) -> c_int {
    // SAFETY: the caller's promise, here and below.
    unsafe { with(guest, -1, |guest| Ok(guest.event_loop.as_fd().as_raw_fd())) }
}

/// One turn: 1 if another is to follow at once, 0 if not, -1 where it is refused.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guest_turn(guest: *const Guest) -> c_int {
    let turn = |guest: &Guest| Ok(guest.event_loop.turn(Some(Duration::ZERO))?.more.into());
    // SAFETY: as above.
    unsafe { with(guest, -1, turn) }
}

/// Seconds until the next turn that is due though nothing comes; less than zero: there is none.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guest_seconds_left(guest: *const Guest) -> c_double {
    let left = |guest: &Guest| {
        let deadline = guest.event_loop.next_deadline();
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        Ok(left.map_or(-1.0, |left| left.as_secs_f64()))
    };
    // SAFETY: as above.
    unsafe { with(guest, -1.0, left) }
}

/// Closes the loop, with all of its tasks, and frees the guest. -1, and nothing is done: from inside of its
/// own turn, or from another thread.
///
/// # Safety
/// As above; after a 0 it is gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guest_free(guest: *mut Guest) -> c_int {
    // SAFETY: as above.
    let closed = unsafe { with(guest, -1, |guest| guest.event_loop.close().map(|()| 0)) };
    if closed == 0 {
        // SAFETY: from `guest_new`, and its last use.
        drop(unsafe { Box::from_raw(guest) });
    }
    closed
}
// To here.

/// A function of the host's, which is called in a turn.
type Callback = extern "C" fn(c_int);

/// Starts a task that calls `tick` so often, that many seconds apart.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guest_tick(
    guest: *const Guest,
    ticks: c_int,
    seconds: c_double,
    tick: Callback,
) -> c_int {
    let start = |guest: &Guest| {
        let every = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        guest
            .event_loop
            .create_task(async move {
                for number in 1..=ticks {
                    sleep(every).await;
                    tick(number);
                }
            })
            .detach();
        Ok(0)
    };
    // SAFETY: as above.
    unsafe { with(guest, -1, start) }
}

/// How many turns there were.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guest_turns(guest: *const Guest) -> c_int {
    // SAFETY: as above.
    unsafe { with(guest, -1, |guest| Ok(guest.event_loop.metrics().turns as c_int)) }
}

/// A handle for other threads.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guest_handle(guest: *const Guest) -> *mut c_void {
    let handle = |guest: &Guest| Ok(Box::into_raw(Box::new(guest.event_loop.handle())).cast());
    // SAFETY: as above.
    unsafe { with(guest, ptr::null_mut(), handle) }
}

/// Has `callback` called in a turn of the loop's, from any thread. -1: the loop is closed.
///
/// # Safety
/// `handle` came from `guest_handle` and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guest_post(
    handle: *const c_void,
    callback: Callback,
    value: c_int,
) -> c_int {
    // SAFETY: the caller's promise; a handle is for any thread.
    let handle = unsafe { &*handle.cast::<LoopHandle>() };
    match handle.call_soon_threadsafe(move || callback(value)) {
        Ok(_) => 0,
        Err(_) => -1,
    }
}

/// # Safety
/// `handle` came from `guest_handle` and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guest_handle_free(handle: *mut c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(handle.cast::<LoopHandle>()) });
}
