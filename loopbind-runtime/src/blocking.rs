//! Threads for work that blocks: one pool per process, made at the first use.
//!
//! A job is accepted only if there is a thread to run it. A thread is started when more jobs wait than
//! threads do, up to a limit; one that finds nothing to do for a while ends. Where the system refuses
//! a thread, those that are there go on; where there is none, the job comes back.
//!
//! A forked child starts a pool of its own: the parent's threads are not in it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::Location;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::panic::discard;
use crate::sys;

/// The most threads, unless `LOOPBIND_MAX_BLOCKING_THREADS` says otherwise.
const MOST_THREADS: usize = 500;

/// How long a thread waits for more.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Where the jobs come from that somebody waits for and that are not over, in the order in which they
/// came.
#[derive(Debug, Default)]
pub(crate) struct Places {
    places: Mutex<(u64, BTreeMap<u64, &'static Location<'static>>)>,
}

impl Places {
    pub(crate) fn add(&self, place: &'static Location<'static>) -> u64 {
        let (next, places) = &mut *self.places.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        places.insert(*next, place);
        *next
    }

    pub(crate) fn remove(&self, number: u64) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number);
    }

    pub(crate) fn all(&self) -> Vec<&'static Location<'static>> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.1.values().copied().collect()
    }
}

struct Pool {
    state: Mutex<State>,
    wake: Condvar,
    limit: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<(u64, Job)>,
    next_job: u64,
    threads: usize,
    /// Threads that wait for a job.
    idle: usize,
    next_name: u64,
}

/// The pool, and the number of forks it was made after.
static POOL: Mutex<Option<(u64, Arc<Pool>)>> = Mutex::new(None);

/// Has `job` run on a thread of the pool. A job must not panic.
///
/// # Errors
/// The system's, with the job, where there is no thread and none can be had.
pub(crate) fn submit(job: Job) -> Result<(), (io::Error, Job)> {
    #[cfg(feature = "faults")]
    let job: Job = Box::new(sys::fault::carry(job));
    match pool() {
        Some(pool) => pool.submit(job),
        None => {
            let busy = "the pool of blocking threads cannot be reached in this forked process";
            Err((io::Error::other(busy), job))
        }
    }
}

fn pool() -> Option<Arc<Pool>> {
    let mut slot = sys::lock_after_fork(&POOL)?;
    match &*slot {
        Some((made, pool)) if *made == sys::forks() => Some(Arc::clone(pool)),
        _ => {
            let pool = Arc::new(Pool::new());
            let inherited = slot.replace((sys::forks(), Arc::clone(&pool)));
            // The parent's jobs are the parent's to drop.
            std::mem::forget(inherited);
            Some(pool)
        }
    }
}

impl Pool {
    fn new() -> Self {
        let limit = std::env::var("LOOPBIND_MAX_BLOCKING_THREADS").ok();
        let limit = limit.and_then(|text| text.parse().ok()).filter(|&limit| limit > 0);
        Pool { state: Mutex::default(), wake: Condvar::new(), limit: limit.unwrap_or(MOST_THREADS) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Jobs do not run while it is held, and nothing else in here panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, job: Job) -> Result<(), (io::Error, Job)> {
        let (number, name) = {
            let mut state = self.state();
            let number = state.next_job;
            state.next_job += 1;
            state.jobs.push_back((number, job));
            if state.idle >= state.jobs.len() || state.threads >= self.limit {
                drop(state);
                self.wake.notify_one();
                return Ok(());
            }
            state.threads += 1;
            state.next_name += 1;
            (number, format!("loopbind_{}", state.next_name - 1))
        };
        let pool = Arc::clone(self);
        let thread = std::thread::Builder::new().name(name);
        let started = sys::start_thread(thread, move || pool.work());
        let Err(error) = started else { return Ok(()) };
        let mut state = self.state();
        state.threads -= 1;
        if state.threads > 0 {
            // Those that are there will come to it.
            drop(state);
            self.wake.notify_one();
            return Ok(());
        }
        match state.jobs.iter().position(|(other, _)| *other == number) {
            Some(position) => {
                let job = state.jobs.remove(position).map(|(_, job)| job);
                drop(state);
                job.map_or(Ok(()), |job| Err((error, job)))
            }
            // A thread that ended meanwhile took it along.
            None => Ok(()),
        }
    }

    /// A thread's life.
    fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some((_, job)) = state.jobs.pop_front() {
                drop(state);
                if let Err(payload) = crate::panic::caught(job) {
                    discard(payload);
                }
                state = self.state();
                continue;
            }
            state.idle += 1;
            let (guard, waited) =
                self.wake.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn pool(limit: usize) -> Arc<Pool> {
        Arc::new(Pool { state: Mutex::default(), wake: Condvar::new(), limit })
    }

    #[test]
    fn as_many_threads_as_jobs_that_wait_for_each_other() {
        let pool = pool(8);
        let barrier = Arc::new(std::sync::Barrier::new(5));
        for _ in 0..4 {
            let barrier = Arc::clone(&barrier);
            let job = move || {
                barrier.wait();
            };
            assert!(pool.submit(Box::new(job)).is_ok());
        }
        barrier.wait();
        assert_eq!(pool.state().threads, 4);
    }

    #[test]
    fn at_the_limit_jobs_wait_and_run_in_order() {
        let pool = pool(1);
        let (sender, receiver) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            let job = move || sender.send((number, std::thread::current().id())).unwrap();
            assert!(pool.submit(Box::new(job)).is_ok());
        }
        drop(sender);
        let order: Vec<_> = receiver.iter().collect();
        assert!(order.iter().map(|(number, _)| *number).eq(0..100));
        assert!(order.iter().all(|(_, thread)| *thread == order[0].1));
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_along() {
        let pool = pool(1);
        assert!(pool.submit(Box::new(|| std::panic::resume_unwind(Box::new("job")))).is_ok());
        let (sender, receiver) = mpsc::channel();
        assert!(pool.submit(Box::new(move || sender.send(()).unwrap())).is_ok());
        receiver.recv().unwrap();
        assert_eq!(pool.state().threads, 1);
    }
}
