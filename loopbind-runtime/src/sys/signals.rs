//! Signals, from the handler to the loops: a counter for each kind, and one eventfd that each
//! listening loop watches.
//!
//! A handler may interrupt anything, on any thread, also one that holds a lock. Ours adds one to its
//! kind's counter, writes to the eventfd, and calls the handler that was there before. The eventfd is
//! the process's: it is made once, never read, and never closed, so that a handler on another thread
//! cannot be about to write to a number that means something else by now. Loops watch it
//! edge-triggered, where each write is news to each of them, and compare counters: 100,000 signals to
//! a loop that is busy are one event, and none of a kind is lost.
//!
//! # Who has the signal
//!
//! While somebody listens, our handler is installed, and what was there before is called by it. When
//! the last listener goes, what was there before is put back, unless somebody installed a handler
//! over ours meanwhile: then ours stays where it is, in the middle of a chain, and passes on what
//! comes. (`signal-hook-registry`, the usual way to share signals, never gives one back: a program
//! that had once listened for SIGTERM could not be ended by it any more. It chains, and so do we.)
//!
//! A forked child inherits the handler, but no listener: its handler writes nowhere, and the first
//! signal of a kind for which the child has no listener of its own puts back what was there before
//! ours, and is raised again. SIG-10.
//!
//! # The last signal
//!
//! Who is asked to end by a signal is asked once: while a [`FinalSignal`] lives, the second one of its
//! kind ends the process, in the handler, whatever the loops are doing.
//!
//! # What is shared with the handler
//!
//! * Counters, and the word that says who listens: atomics.
//! * What was there before: a pointer to a record that never changes and is never freed. One is made
//!   for each different disposition that is found.
//! * The lock under which handlers are put in and taken out. The handler only tries it: where it is
//!   held, the signal is marked as missed, and whoever holds it raises it once more.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use super::fault::{self, Call};
use super::{SignalError, SignalKind, forks, watch_forks};

/// Linux's real-time signals end here; other systems have fewer.
const HIGHEST: usize = 64;

/// How often the handler tries to tell.
const MOST_WRITES: u32 = 16;

static SLOTS: [Slot; HIGHEST + 1] = [const { Slot::new() }; HIGHEST + 1];

/// What is known of one kind.
struct Slot {
    /// How many came while somebody listened.
    count: AtomicU64,
    /// How many listen in this process.
    listeners: PerProcess,
    /// What was there before our handler, once that was installed.
    before: AtomicPtr<libc::sigaction>,
    /// Somebody installed a handler over ours, and may call it: it must not be installed over that.
    buried: AtomicBool,
    /// A signal that found the lock held.
    missed: AtomicBool,
    /// How many have the last signal end the process.
    enders: PerProcess,
    /// The count at which it does.
    last: AtomicU64,
}

/// A number below 2^32 that counts for the process that wrote it, and as zero for its children.
struct PerProcess(AtomicU64);

impl PerProcess {
    const fn new() -> Self {
        PerProcess(AtomicU64::new(0))
    }

    fn get(&self) -> u32 {
        let word = self.0.load(Ordering::SeqCst);
        if (word >> 32) as u32 == forks() as u32 { word as u32 } else { 0 }
    }

    fn set(&self, value: u32) {
        let process = u64::from(forks() as u32);
        self.0.store(process << 32 | u64::from(value), Ordering::SeqCst);
    }
}

impl Slot {
    const fn new() -> Self {
        Slot {
            count: AtomicU64::new(0),
            listeners: PerProcess::new(),
            before: AtomicPtr::new(ptr::null_mut()),
            buried: AtomicBool::new(false),
            missed: AtomicBool::new(false),
            enders: PerProcess::new(),
            last: AtomicU64::new(0),
        }
    }

    fn before(&self) -> Option<&'static libc::sigaction> {
        // SAFETY: null, or a record that is never freed and never changed.
        unsafe { self.before.load(Ordering::Acquire).as_ref() }
    }
}

/// The eventfd's number, plus one.
static RINGER: PerProcess = PerProcess::new();

fn ringer() -> Option<BorrowedFd<'static>> {
    let number = RINGER.get().checked_sub(1)? as RawFd;
    // SAFETY: the descriptor was given up to the process, which never closes it.
    Some(unsafe { BorrowedFd::borrow_raw(number) })
}

/// The handler. Nothing here allocates or waits, and `errno` is as before when it returns, whichever way
/// rustix makes its calls, and whatever the handlers that are called from here do.
extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(slot) = SLOTS.get(signal as usize) else { return };
    let _errno = Errno::keep();
    let heard = slot.listeners.get() > 0;
    if heard {
        // The count first: who is woken looks at it.
        let count = slot.count.fetch_add(1, Ordering::SeqCst) + 1;
        if slot.enders.get() > 0 && count >= slot.last.load(Ordering::SeqCst) {
            // SAFETY: no preconditions; a handler may call it. The status is the shells' for an end
            // by this signal.
            unsafe { libc::_exit(128 + signal) };
        }
        if let Some(ringer) = ringer() {
            write_to(ringer);
        }
    }
    let Some(before) = slot.before() else { return };
    match before.sa_sigaction {
        libc::SIG_IGN => {}
        libc::SIG_DFL if heard => {}
        libc::SIG_DFL => step_aside(signal, slot),
        function if before.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: with SA_SIGINFO the system takes the word for a function of this type, and
            // so would have called it with these arguments.
            let function: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(function) };
            function(signal, info, context);
        }
        function => {
            // SAFETY: likewise, without SA_SIGINFO.
            let function: extern "C" fn(c_int) = unsafe { std::mem::transmute(function) };
            function(signal);
        }
    }
}

/// The error of the call that the handler came after, for who is about to read it.
struct Errno(c_int);

impl Errno {
    fn keep() -> Self {
        // SAFETY: this thread's, and always there.
        Errno(unsafe { *libc::__errno_location() })
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

/// Tried again where it fails, though there is no reason known why it should. The count is there in any
/// case, and is asked at a loop's next look.
fn write_to(ringer: BorrowedFd<'_>) {
    for _ in 0..MOST_WRITES {
        let written = fault::check(Call::SignalWrite)
            .and_then(|()| Ok(rustix::io::write(ringer, &1_u64.to_ne_bytes())?));
        match written {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {}
            // Or full: it has been written to.
            _ => return,
        }
    }
}

/// Nobody listens here: the signal is to do what it would have done without us.
fn step_aside(signal: c_int, slot: &Slot) {
    let again = loop {
        if let Some(changing) = Changing::try_begin() {
            let heard = slot.listeners.get() > 0;
            let restored = !heard && changing.restore(signal, slot);
            break heard || restored;
        }
        slot.missed.store(true, Ordering::SeqCst);
        // Let go of a moment ago? Then nobody may have seen the mark.
        if Changing::is_on() || !slot.missed.swap(false, Ordering::SeqCst) {
            break false;
        }
    };
    if again {
        raise(signal);
    }
}

fn raise(signal: c_int) {
    // SAFETY: no preconditions; inside a handler of the same signal it comes when that returns.
    unsafe { libc::raise(signal) };
}

/// The right to put handlers in and take them out. Not a `Mutex`: one that another thread held when
/// this process was forked would be held for ever.
#[must_use]
struct Changing(());

/// Zero, or the number of forks, plus one, in the process that holds it.
static CHANGING: AtomicU64 = AtomicU64::new(0);

impl Changing {
    fn begin() -> Self {
        loop {
            match Self::try_begin() {
                Some(changing) => return changing,
                // Held for a few system calls.
                None => std::thread::yield_now(),
            }
        }
    }

    fn try_begin() -> Option<Self> {
        let held = CHANGING.load(Ordering::SeqCst);
        let ours = forks() + 1;
        if held == ours {
            return None;
        }
        // Free, or left behind by a thread that is not in this process.
        let (order, relaxed) = (Ordering::SeqCst, Ordering::Relaxed);
        CHANGING.compare_exchange(held, ours, order, relaxed).is_ok().then_some(Changing(()))
    }

    fn is_on() -> bool {
        CHANGING.load(Ordering::SeqCst) == forks() + 1
    }

    /// Makes our handler the one that is called, unless it is in the chain already.
    fn install(&self, signal: c_int, slot: &Slot) -> io::Result<()> {
        let now = disposition(signal, None)?;
        if is_ours(&now) {
            return Ok(());
        }
        let plain = matches!(now.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN);
        if slot.buried.load(Ordering::Relaxed) && !plain {
            return Ok(());
        }
        slot.buried.store(false, Ordering::Relaxed);
        // Known before it can be needed, and once more where somebody else was quicker.
        remember(slot, now);
        let replaced = disposition(signal, Some(&our_action()))?;
        if !is_ours(&replaced) {
            remember(slot, replaced);
        }
        Ok(())
    }

    /// Puts back what was there before ours. False: somebody is over ours.
    fn restore(&self, signal: c_int, slot: &Slot) -> bool {
        let on_top = disposition(signal, None).is_ok_and(|now| is_ours(&now));
        slot.buried.store(!on_top, Ordering::Relaxed);
        match slot.before() {
            Some(before) if on_top => disposition(signal, Some(before)).is_ok(),
            _ => false,
        }
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        CHANGING.store(0, Ordering::SeqCst);
        for (signal, slot) in SLOTS.iter().enumerate() {
            if slot.missed.load(Ordering::SeqCst) && slot.missed.swap(false, Ordering::SeqCst) {
                raise(signal as c_int);
            }
        }
    }
}

/// What the system does with a signal; `new` replaces it.
fn disposition(signal: c_int, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    fault::check(Call::SignalAction)?;
    let mut old = MaybeUninit::uninit();
    // SAFETY: `new` is null or a whole record whose handler, if it is ours, may be called at any
    // time from here on, and if it is not, was in place before. `old` has room for one.
    let done = unsafe {
        libc::sigaction(signal, new.map_or(ptr::null(), ptr::from_ref), old.as_mut_ptr())
    };
    match done {
        // SAFETY: written by the call that succeeded.
        0 => Ok(unsafe { old.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == our_action().sa_sigaction
}

fn our_action() -> libc::sigaction {
    // SAFETY: a record of numbers, for which all zeros is a value: the empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let function: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = handle;
    action.sa_sigaction = function as libc::sighandler_t;
    // Calls that can go on do so; runtimes with small stacks give signals one of their own.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    action
}

/// A handler on another thread may be reading the old record: it stays. The same again is no new
/// one, so that listening on and off for ever costs nothing.
fn remember(slot: &Slot, action: libc::sigaction) {
    if slot.before().is_none_or(|known| !is_same(known, &action)) {
        slot.before.store(Box::into_raw(Box::new(action)), Ordering::Release);
    }
}

fn is_same(a: &libc::sigaction, b: &libc::sigaction) -> bool {
    // SAFETY: both are whole records.
    let blocks = |action: &libc::sigaction, signal| unsafe {
        libc::sigismember(&raw const action.sa_mask, signal)
    };
    // The C library's own, which comes back from the system once anything was installed.
    const RESTORER: c_int = 0x0400_0000;
    a.sa_sigaction == b.sa_sigaction
        && a.sa_flags | RESTORER == b.sa_flags | RESTORER
        && (1..=HIGHEST as c_int).all(|signal| blocks(a, signal) == blocks(b, signal))
}

/// Somebody who hears of a kind of signal, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Listening {
    kind: SignalKind,
    heard: Cell<u64>,
    forks: u64,
}

impl Listening {
    /// Hears what comes from here on.
    pub(crate) fn begin(kind: SignalKind) -> io::Result<Self> {
        kind.check()?;
        watch_forks();
        Self::begin_while(&Changing::begin(), kind)
    }

    /// The same, and has the second signal end the process; `None` where a signal of this kind would
    /// do something else than end it now: that is left alone.
    pub(crate) fn begin_to_end(kind: SignalKind) -> io::Result<Option<(Self, FinalSignal)>> {
        kind.check()?;
        watch_forks();
        let changing = Changing::begin();
        let slot = &SLOTS[kind.as_raw() as usize];
        let now = disposition(kind.as_raw(), None)?;
        let below = if is_ours(&now) { slot.before() } else { Some(&now) };
        if below.is_none_or(|action| action.sa_sigaction != libc::SIG_DFL) {
            return Ok(None);
        }
        let listening = Self::begin_while(&changing, kind)?;
        let begun = listening.heard.get();
        // The first from here on is news to this one, whatever others were told or are about to be.
        slot.last.store(begun + 2, Ordering::SeqCst);
        slot.enders.set(slot.enders.get() + 1);
        Ok(Some((listening, FinalSignal { kind, begun, forks: forks() })))
    }

    fn begin_while(changing: &Changing, kind: SignalKind) -> io::Result<Self> {
        let invalid = || SignalError::Invalid { signal: kind.as_raw() };
        let slot = SLOTS.get(kind.as_raw() as usize).ok_or_else(invalid)?;
        if RINGER.get() == 0 {
            fault::check(Call::Eventfd)?;
            let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            RINGER.set(made.into_raw_fd() as u32 + 1);
        }
        let heard = slot.count.load(Ordering::SeqCst);
        let listeners = slot.listeners.get();
        slot.listeners.set(listeners + 1);
        if let Err(error) = changing.install(kind.as_raw(), slot) {
            slot.listeners.set(listeners);
            return Err(match error.kind() {
                // The C library keeps some for itself.
                io::ErrorKind::InvalidInput => invalid().into(),
                _ => error,
            });
        }
        Ok(Listening { kind, heard: Cell::new(heard), forks: forks() })
    }

    pub(crate) fn kind(&self) -> SignalKind {
        self.kind
    }

    fn count(&self) -> u64 {
        SLOTS[self.kind.as_raw() as usize].count.load(Ordering::SeqCst)
    }

    /// Whether one came that was not taken.
    pub(crate) fn has_heard(&self) -> bool {
        self.count() != self.heard.get()
    }

    /// Takes what came: true if anything did, once for all of it.
    pub(crate) fn take(&self) -> bool {
        let count = self.count();
        self.heard.replace(count) != count
    }

    /// What a loop watches to learn that a signal came.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'static> {
        ringer().unwrap_or_else(|| unreachable!("made before anybody listens, and never closed"))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Another process listens, then, and not this one.
        if self.forks != forks() {
            return;
        }
        let slot = &SLOTS[self.kind.as_raw() as usize];
        let changing = Changing::begin();
        let listeners = slot.listeners.get() - 1;
        slot.listeners.set(listeners);
        if listeners == 0 {
            changing.restore(self.kind.as_raw(), slot);
        }
    }
}

/// While it lives, the second signal of its kind ends the process, and the first is news.
#[derive(Debug)]
#[must_use]
pub(crate) struct FinalSignal {
    kind: SignalKind,
    /// The count when it began.
    begun: u64,
    forks: u64,
}

impl FinalSignal {
    /// Whether the first one came.
    pub(crate) fn is_near(&self) -> bool {
        let count = SLOTS[self.kind.as_raw() as usize].count.load(Ordering::SeqCst);
        self.forks == forks() && count != self.begun
    }

    /// From now on the first one is the last, unless somebody else wants to hear of it.
    pub(crate) fn make_next(&self) {
        let slot = &SLOTS[self.kind.as_raw() as usize];
        let _changing = Changing::begin();
        if self.forks == forks() && slot.enders.get() == 1 {
            slot.last.store(self.begun + 1, Ordering::SeqCst);
        }
    }
}

impl Drop for FinalSignal {
    fn drop(&mut self) {
        // The parent's, where this process was forked meanwhile.
        if self.forks != forks() {
            return;
        }
        let slot = &SLOTS[self.kind.as_raw() as usize];
        let _changing = Changing::begin();
        slot.enders.set(slot.enders.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_before_is_remembered_once() {
        let number = libc::SIGURG;
        let before = || SLOTS[number as usize].before.load(Ordering::SeqCst);
        let mut known = Vec::new();
        for _ in 0..3 {
            drop(Listening::begin(SignalKind::from_raw(number)).unwrap());
            known.push(before());
        }
        assert_eq!(known, [known[0]; 3], "a record that nobody frees, each time");
    }
}
