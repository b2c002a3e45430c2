//! Which thread is the process's main one, which process this is, where a thread may run.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};

use super::fault::{self, Call};
use crate::current;

/// How many forks lie between the process that loaded this library and the one that asks. An
/// object that remembers the count it was made under knows whether it was inherited; a process id
/// would cost a system call and may be used again.
static FORKS: AtomicU64 = AtomicU64::new(0);

#[inline]
pub(crate) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Sees to it that forks are counted from here on.
pub(crate) fn watch_forks() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        #[cfg(unix)]
        {
            unsafe extern "C" {
                fn pthread_atfork(
                    prepare: Option<extern "C" fn()>,
                    parent: Option<extern "C" fn()>,
                    child: Option<extern "C" fn()>,
                ) -> std::ffi::c_int;
            }
            // SAFETY: POSIX's signature; the handler lives for ever, and does what may be done
            // between fork and exec: one atomic add and one store to a thread-local word.
            let refused = unsafe { pthread_atfork(None, None, Some(in_the_child)) };
            // ENOMEM is the one error it has, and then the process is not long for this world.
            debug_assert_eq!(refused, 0);
        }
    });
}

/// The child begins as if no loop had ever run on its one thread.
#[cfg_attr(not(unix), allow(dead_code))]
extern "C" fn in_the_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    current::forget();
}

/// Asks the system, not the thread's name, which anybody may choose. In a forked child the thread
/// that forked is the main one: PRC-11, PRC-12.
pub(crate) fn is_main_thread() -> bool {
    #[cfg(target_os = "linux")]
    {
        rustix::thread::gettid() == rustix::process::getpid()
    }
    #[cfg(any(target_vendor = "apple", target_os = "freebsd", target_os = "openbsd"))]
    {
        unsafe extern "C" {
            fn pthread_main_np() -> std::ffi::c_int;
        }
        // SAFETY: no arguments, no preconditions.
        unsafe { pthread_main_np() == 1 }
    }
    #[cfg(not(any(
        target_os = "linux",
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "openbsd"
    )))]
    {
        // No call tells. std names the main thread so, and nothing else should.
        std::thread::current().name() == Some("main")
    }
}

/// Locks what is held for a few instructions at a time. In a forked child a thread that is not there
/// may have held it, for ever: `None` then.
pub(crate) fn lock_after_fork<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    if forks() == 0 {
        return Some(lock.lock().unwrap_or_else(PoisonError::into_inner));
    }
    (0..100).find_map(|_| match lock.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            std::thread::yield_now();
            None
        }
    })
}

/// The calling thread as std knows it; `None` once std has taken that down, in destructors that the
/// system calls after those of Rust's thread-locals.
pub(crate) fn current_thread() -> Option<std::thread::Thread> {
    // It panics then, and cannot be asked before.
    std::panic::catch_unwind(std::thread::current).ok()
}

/// Starts a thread. Where the system refuses, `body` is dropped here.
pub(crate) fn start_thread<T: Send + 'static>(
    thread: std::thread::Builder,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<std::thread::JoinHandle<T>> {
    fault::check(Call::Thread)?;
    thread.spawn(body)
}

/// Lets the calling thread run on the processor numbered `index` only.
pub(crate) fn pin_to_core(index: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        if index >= rustix::thread::CpuSet::MAX_CPU {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "core {index}: a thread can be pinned to one of the first {} only",
                    rustix::thread::CpuSet::MAX_CPU
                ),
            ));
        }
        let mut cores = rustix::thread::CpuSet::new();
        cores.set(index);
        let pinned = fault::check(Call::Affinity)
            .and_then(|()| Ok(rustix::thread::sched_setaffinity(None, &cores)?));
        pinned.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot pin the thread to core {index}: {error}"))
        })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let message = format!("core {index}: pinning threads is supported on Linux only");
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }
}

/// Whether `pin_to_core` can do anything here.
pub(crate) const CAN_PIN: bool = cfg!(target_os = "linux");

/// Whether another thread can run while the calling one does. Not where both have one processor only; where this thread is
/// kept to one, the process's main thread tells of the others'.
pub(crate) fn runs_beside_others() -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::sched_getaffinity;
        let allowed = fault::check(Call::Affinity).and_then(|()| {
            let main = sched_getaffinity(Some(rustix::process::getpid()))?;
            Ok([sched_getaffinity(None)?, main])
        });
        if let Ok(allowed) = allowed {
            let mut all = 0..rustix::thread::CpuSet::MAX_CPU;
            let is_allowed = |core: usize| allowed.iter().any(|cores| cores.is_set(core));
            return all.by_ref().any(is_allowed) && all.any(is_allowed);
        }
    }
    std::thread::available_parallelism().is_ok_and(|count| count.get() > 1)
}

/// The processors that the calling thread may run on.
pub(crate) fn cores() -> io::Result<Vec<usize>> {
    #[cfg(target_os = "linux")]
    {
        fault::check(Call::Affinity)?;
        let allowed = rustix::thread::sched_getaffinity(None)?;
        let all = 0..rustix::thread::CpuSet::MAX_CPU;
        Ok(all.filter(|&core| allowed.is_set(core)).collect())
    }
    #[cfg(not(target_os = "linux"))]
    {
        Ok((0..std::thread::available_parallelism()?.get()).collect())
    }
}
