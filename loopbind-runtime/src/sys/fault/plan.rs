//! Which calls fail, and what was called.
//!
//! A plan belongs to the thread that installed it, and to what that thread has others do: the threads
//! of loops that it starts, and its jobs on the blocking pool. One for the whole process is for tests
//! that have a process of their own. Plans are never freed, so that a signal handler may look at one
//! at any time; what is shared of one are counters.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Call;
use crate::current;

impl Call {
    /// Each kind.
    ///
    /// ```
    /// use loopbind::__private::faults::Call;
    ///
    /// assert!(Call::ALL.iter().enumerate().all(|(at, &call)| call as usize == at));
    /// ```
    pub const ALL: &[Call] = &[
        Call::EpollCreate,
        Call::Eventfd,
        Call::EpollAdd,
        Call::EpollModify,
        Call::EpollRemove,
        Call::EpollWait,
        Call::EpollPwait2,
        Call::Ring,
        Call::Fcntl,
        Call::Dup,
        Call::Poll,
        Call::Socket,
        Call::Bind,
        Call::Listen,
        Call::Connect,
        Call::Accept,
        Call::Receive,
        Call::Send,
        Call::SocketError,
        Call::SocketOption,
        Call::Shutdown,
        Call::Read,
        Call::Write,
        Call::PidfdOpen,
        Call::WaitId,
        Call::Kill,
        Call::Spawn,
        Call::Thread,
        Call::Affinity,
        Call::SignalAction,
        Call::SignalWrite,
        Call::Resolve,
        Call::Stat,
        Call::TimerCreate,
        Call::TimerSet,
    ];
}

const CALLS: usize = Call::TimerSet as usize + 1;

#[derive(Clone, Copy, Debug)]
enum Effect {
    Fail(i32),
    Shorten(usize),
    Invent(Of),
    Delay(Duration),
}

/// Whose events a look invents.
#[derive(Clone, Copy, Debug)]
enum Of {
    All,
    Gone,
}

/// Where a rule begins to count.
#[derive(Clone, Copy, Debug)]
enum Since {
    Installed,
    FirstFault,
}

#[derive(Debug)]
struct Rule {
    call: Call,
    since: Since,
    /// The first and the last call that it is for, counted from one.
    first: u64,
    last: u64,
    effect: Effect,
}

/// Which calls to the system fail, counted from the moment it is installed.
///
/// ```
/// use loopbind::__private::faults::{Call, FaultPlan};
/// use loopbind::EventLoop;
///
/// const EMFILE: i32 = 24;
/// let faults = FaultPlan::new().nth(Call::Eventfd, 1, EMFILE).install();
/// assert!(EventLoop::new().is_err());
/// assert_eq!(faults.used(), 1);
/// assert!(EventLoop::new().is_ok()); // the second call is made
/// ```
#[derive(Debug, Default)]
#[must_use = "a plan changes nothing until it is installed"]
pub struct FaultPlan {
    rules: Vec<Rule>,
}

/// A plan that is installed, and what was called meanwhile. Nothing is counted any more.
#[derive(Debug)]
pub(crate) struct Plan {
    rules: Vec<Rule>,
    counts: [AtomicU64; CALLS],
    /// Those behind the first fault.
    later: [AtomicU64; CALLS],
    used: AtomicU64,
    lifted: AtomicBool,
}

/// The plan of threads that have none of their own.
static EVERYWHERE: RwLock<Option<&'static Plan>> = RwLock::new(None);

impl FaultPlan {
    /// A plan in which nothing fails: it counts.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().install();
    /// loopbind::run(async {}).unwrap();
    /// assert_eq!((faults.count(Call::EpollCreate), faults.used()), (1, 0));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    fn rule(mut self, call: Call, first: u64, last: u64, effect: Effect) -> Self {
        assert!(first > 0, "calls are counted from one");
        self.rules.push(Rule { call, since: Since::Installed, first, last, effect });
        self
    }

    /// The `n`-th such call, counted from one, fails with `errno`.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().nth(Call::EpollCreate, 2, 24).install();
    /// assert!(loopbind::run(async {}).is_ok());
    /// assert!(loopbind::run(async {}).is_err());
    /// # drop(faults);
    /// ```
    pub fn nth(self, call: Call, n: u64, errno: i32) -> Self {
        self.span(call, n, 1, errno)
    }

    /// Once a call has failed, the `n`-th such call behind it fails with `errno` as well: a second fault while
    /// the first is being cleaned up.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let plan = FaultPlan::new().nth(Call::EpollCreate, 2, 24);
    /// let faults = plan.then(Call::EpollCreate, 1, 23).install();
    /// let failed: Vec<_> = (0..4).map(|_| loopbind::run(async {}).is_err()).collect();
    /// assert_eq!(failed, [false, true, true, false]);
    /// # drop(faults);
    /// ```
    pub fn then(mut self, call: Call, n: u64, errno: i32) -> Self {
        self = self.nth(call, n, errno);
        self.rules.last_mut().expect("it was just added").since = Since::FirstFault;
        self
    }

    /// The `n`-th such call and those after it, `times` in all, fail with `errno`.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().span(Call::EpollCreate, 1, 2, 24).install();
    /// let failed = (0..4).filter(|_| loopbind::run(async {}).is_err());
    /// assert_eq!(failed.count(), 2);
    /// # drop(faults);
    /// ```
    pub fn span(self, call: Call, n: u64, times: u64, errno: i32) -> Self {
        self.rule(call, n, n.saturating_add(times.saturating_sub(1)), Effect::Fail(errno))
    }

    /// Each such call fails with `errno`.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().always(Call::EpollCreate, 24).install();
    /// assert!((0..3).all(|_| loopbind::run(async {}).is_err()));
    /// # drop(faults);
    /// ```
    pub fn always(self, call: Call, errno: i32) -> Self {
        self.rule(call, 1, u64::MAX, Effect::Fail(errno))
    }

    /// Each such call takes, or gives, this many bytes at most.
    ///
    /// ```
    /// use futures::AsyncWriteExt;
    /// use loopbind::__private::faults::{Call, FaultPlan};
    /// use loopbind::net::UnixStream;
    ///
    /// let faults = FaultPlan::new().short(Call::Send, 1).install();
    /// let written = loopbind::run(async {
    ///     let (mut left, _right) = UnixStream::pair()?;
    ///     left.write(b"word").await
    /// });
    /// assert_eq!(written.unwrap().unwrap(), 1);
    /// # drop(faults);
    /// ```
    pub fn short(self, call: Call, bytes: usize) -> Self {
        self.rule(call, 1, u64::MAX, Effect::Shorten(bytes))
    }

    /// Each such call begins this much later, and then does what it does.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().slow(Call::EpollCreate, Duration::from_millis(5)).install();
    /// let begun = Instant::now();
    /// loopbind::run(async {}).unwrap();
    /// assert!(begun.elapsed() >= Duration::from_millis(5));
    /// # drop(faults);
    /// ```
    pub fn slow(self, call: Call, delay: Duration) -> Self {
        self.rule(call, 1, u64::MAX, Effect::Delay(delay))
    }

    /// Each look sees events for all that was ever registered, where there are none.
    ///
    /// ```
    /// use loopbind::__private::faults::FaultPlan;
    ///
    /// let faults = FaultPlan::new().spurious().install();
    /// loopbind::run(loopbind::sleep(std::time::Duration::from_millis(1))).unwrap();
    /// assert!(faults.used() > 0);
    /// ```
    pub fn spurious(self) -> Self {
        self.invent(Of::All)
    }

    /// Each look sees events for what was registered once, and is gone, where another has its place.
    ///
    /// ```
    /// use loopbind::__private::faults::FaultPlan;
    ///
    /// let faults = FaultPlan::new().stale().install();
    /// loopbind::run(loopbind::sleep(std::time::Duration::from_millis(1))).unwrap();
    /// assert!(faults.used() > 0);
    /// ```
    pub fn stale(self) -> Self {
        self.invent(Of::Gone)
    }

    fn invent(self, of: Of) -> Self {
        let looks = [Call::EpollWait, Call::EpollPwait2];
        looks.into_iter().fold(self, |plan, look| plan.rule(look, 1, u64::MAX, Effect::Invent(of)))
    }

    fn begin(self) -> &'static Plan {
        Box::leak(Box::new(Plan {
            rules: self.rules,
            counts: [const { AtomicU64::new(0) }; CALLS],
            later: [const { AtomicU64::new(0) }; CALLS],
            used: AtomicU64::new(0),
            lifted: AtomicBool::new(false),
        }))
    }

    /// From here on it is this thread's, in place of the one it had, and that of what this thread
    /// starts.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().always(Call::EpollCreate, 24).install();
    /// assert!(loopbind::run(async {}).is_err());
    /// let elsewhere = std::thread::spawn(|| loopbind::run(async {}).is_ok());
    /// assert!(elsewhere.join().unwrap());
    /// drop(faults);
    /// assert!(loopbind::run(async {}).is_ok());
    /// ```
    pub fn install(self) -> Faults {
        let plan = self.begin();
        Faults {
            plan,
            before: current::replace_plan(Some(plan)),
            of_thread: true,
            unsend: PhantomData,
        }
    }

    /// From here on it is that of each thread without one of its own.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().always(Call::EpollCreate, 24).install_everywhere();
    /// let elsewhere = std::thread::spawn(|| loopbind::run(async {}).is_err());
    /// assert!(elsewhere.join().unwrap());
    /// # drop(faults);
    /// ```
    pub fn install_everywhere(self) -> Faults {
        let plan = self.begin();
        Faults { plan, before: exchange(Some(plan)), of_thread: false, unsend: PhantomData }
    }
}

fn exchange(plan: Option<&'static Plan>) -> Option<&'static Plan> {
    let mut place = EVERYWHERE.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::mem::replace(&mut *place, plan)
}

/// A plan that is in force until this drops.
///
/// ```
/// use loopbind::__private::faults::{Call, FaultPlan};
///
/// let faults = FaultPlan::new().nth(Call::Ring, 1, 5).install();
/// loopbind::run(async {}).unwrap();
/// assert_eq!(faults.used(), 0); // nobody rang
/// ```
#[must_use = "dropping it lifts the plan"]
pub struct Faults {
    plan: &'static Plan,
    before: Option<&'static Plan>,
    of_thread: bool,
    /// It goes where it came.
    unsend: PhantomData<*const ()>,
}

impl Faults {
    /// How many faults there were.
    ///
    /// ```
    /// use loopbind::__private::faults::FaultPlan;
    ///
    /// assert_eq!(FaultPlan::new().install().used(), 0);
    /// ```
    pub fn used(&self) -> u64 {
        self.plan.used.load(Ordering::SeqCst)
    }

    /// How many such calls there were, those that failed included.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().install();
    /// loopbind::run(async {}).unwrap();
    /// assert_eq!(faults.count(Call::Eventfd), 1);
    /// ```
    pub fn count(&self, call: Call) -> u64 {
        self.plan.counts[call as usize].load(Ordering::SeqCst)
    }

    /// The calls there were, and how many of each.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().install();
    /// drop(loopbind::EventLoop::new().unwrap());
    /// let calls: Vec<_> = faults.counts().collect();
    /// assert_eq!(calls, [(Call::EpollCreate, 1), (Call::Eventfd, 1), (Call::EpollAdd, 1)]);
    /// ```
    pub fn counts(&self) -> impl Iterator<Item = (Call, u64)> + '_ {
        let all = Call::ALL.iter().map(|&call| (call, self.count(call)));
        all.filter(|(_, count)| *count > 0)
    }

    /// The calls there were behind the first that failed, and how many of each.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().nth(Call::EpollAdd, 1, 12).install();
    /// assert!(loopbind::EventLoop::new().is_err());
    /// assert_eq!(faults.later_counts().count(), 0); // nothing is asked of the system to clean that up
    /// ```
    pub fn later_counts(&self) -> impl Iterator<Item = (Call, u64)> + '_ {
        let count = |call: Call| self.plan.later[call as usize].load(Ordering::SeqCst);
        let all = Call::ALL.iter().map(move |&call| (call, count(call)));
        all.filter(|(_, count)| *count > 0)
    }

    /// Nothing fails, and nothing is counted, from here on: on no thread.
    ///
    /// ```
    /// use loopbind::__private::faults::{Call, FaultPlan};
    ///
    /// let faults = FaultPlan::new().always(Call::EpollCreate, 24).install();
    /// assert!(loopbind::run(async {}).is_err());
    /// faults.lift();
    /// assert!(loopbind::run(async {}).is_ok());
    /// assert_eq!(faults.used(), 1);
    /// ```
    pub fn lift(&self) {
        self.plan.lifted.store(true, Ordering::SeqCst);
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.lift();
        if self.of_thread {
            current::replace_plan(self.before);
        } else {
            exchange(self.before);
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("rules", &self.plan.rules)
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

/// What is to come of this call, which is counted.
fn effect(call: Call) -> Option<Effect> {
    // In a signal handler, too: nothing waits here. Locked is about to change.
    let plan = current::plan().or_else(|| *EVERYWHERE.try_read().ok()?)?;
    if plan.lifted.load(Ordering::SeqCst) {
        return None;
    }
    let number = plan.counts[call as usize].fetch_add(1, Ordering::SeqCst) + 1;
    let has_failed = plan.used.load(Ordering::SeqCst) > 0;
    let later =
        if has_failed { plan.later[call as usize].fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
    let applies = |rule: &&Rule| {
        let number = match rule.since {
            Since::Installed => number,
            Since::FirstFault => later,
        };
        rule.call == call && (rule.first..=rule.last).contains(&number)
    };
    let rule = plan.rules.iter().find(applies)?;
    plan.used.fetch_add(1, Ordering::SeqCst);
    Some(rule.effect)
}

/// Whether the call is to be made.
pub(crate) fn check(call: Call) -> io::Result<()> {
    limit(call, 0).map(drop)
}

/// How many of `length` bytes the call may be given.
pub(crate) fn limit(call: Call, length: usize) -> io::Result<usize> {
    match effect(call) {
        Some(Effect::Fail(errno)) => Err(io::Error::from_raw_os_error(errno)),
        Some(Effect::Shorten(bytes)) => Ok(length.min(bytes)),
        Some(Effect::Delay(delay)) => {
            std::thread::sleep(delay);
            Ok(length)
        }
        Some(Effect::Invent(_)) | None => Ok(length),
    }
}

/// Of the keys that were ever registered, those that a look sees though nothing happened. The upper half
/// of a key is the generation of the slot in its lower half.
#[cfg_attr(any(not(target_os = "linux"), feature = "polling"), allow(dead_code))] // Our own driver's.
pub(crate) fn invented(keys: &std::collections::BTreeSet<u64>) -> Vec<u64> {
    let plan = current::plan().or_else(|| *EVERYWHERE.try_read().ok()?);
    let Some(plan) = plan.filter(|plan| !plan.lifted.load(Ordering::SeqCst)) else {
        return Vec::new();
    };
    let is_old = |key: u64| keys.iter().any(|&other| other as u32 == key as u32 && other > key);
    let invents = |rule: &Rule| matches!(rule.effect, Effect::Invent(_));
    match plan.rules.iter().find(|rule| invents(rule)).map(|rule| rule.effect) {
        Some(Effect::Invent(Of::All)) => keys.iter().copied().collect(),
        Some(Effect::Invent(Of::Gone)) => keys.iter().copied().filter(|&key| is_old(key)).collect(),
        _ => Vec::new(),
    }
}

/// `work`, under this thread's plan, on whatever thread it runs.
pub(crate) fn carry<R, F: FnOnce() -> R>(work: F) -> impl FnOnce() -> R {
    let plan = current::plan();
    move || {
        struct Back(Option<&'static Plan>);
        impl Drop for Back {
            fn drop(&mut self) {
                current::replace_plan(self.0);
            }
        }
        let _back = Back(current::replace_plan(plan));
        work()
    }
}
