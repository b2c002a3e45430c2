//! The list of them.

use std::time::Duration;

use crate::runtime::{Need, Runtime};
use crate::stopwatch::Clock;
use crate::{channels, runs, tasks, threads, timers, wakes};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    SpawnJoin,
    SpawnThousand,
    SpawnHundredThousand,
    WaitThousand,
    WaitMillion,
    YieldOne,
    YieldThousand,
    YieldMillion,
    YieldItsWay,
    WakeStored,
    WakeRedundant,
    WakerClone,
    Unordered,
    PingPongItsOwn,
    PingPongFutures,
    RunReady,
    RunYield,
    RunTask,
    SleepThousand,
    SleepMillion,
    SetThousand,
    SetMillion,
    ResetThousand,
    ResetMillion,
    RoundTrip,
    Flood,
    Blocking,
    Lookup,
}

use Workload::*;

impl Workload {
    pub const ALL: [Workload; 28] = [
        SpawnJoin,
        SpawnThousand,
        SpawnHundredThousand,
        WaitThousand,
        WaitMillion,
        YieldOne,
        YieldThousand,
        YieldMillion,
        YieldItsWay,
        WakeStored,
        WakeRedundant,
        WakerClone,
        Unordered,
        PingPongItsOwn,
        PingPongFutures,
        RunReady,
        RunYield,
        RunTask,
        SleepThousand,
        SleepMillion,
        SetThousand,
        SetMillion,
        ResetThousand,
        ResetMillion,
        RoundTrip,
        Flood,
        Blocking,
        Lookup,
    ];

    /// Those whose instructions are counted: nothing in them depends on the time, or on another thread.
    pub const COUNTED: [Workload; 12] = [
        SpawnJoin,
        SpawnThousand,
        SpawnHundredThousand,
        WaitThousand,
        WaitMillion,
        YieldOne,
        YieldThousand,
        PingPongItsOwn,
        PingPongFutures,
        RunReady,
        SleepThousand,
        ResetThousand,
    ];

    pub fn name(self) -> &'static str {
        match self {
            SpawnJoin => "spawn + join",
            SpawnThousand => "spawn 1,000, join all",
            SpawnHundredThousand => "spawn 100,000, join all",
            WaitThousand => "1,000 that wait: spawn, wake, join",
            WaitMillion => "1,000,000 that wait: spawn, wake, join",
            YieldOne => "yield, 1 task",
            YieldThousand => "yield, 1,000 tasks",
            YieldMillion => "yield, 1,000,000 tasks",
            YieldItsWay => "yield, its own way",
            WakeStored => "wake by a stored clone",
            WakeRedundant => "wake once more",
            WakerClone => "waker: clone + drop",
            Unordered => "FuturesUnordered, 1,000 x 10",
            PingPongItsOwn => "ping-pong, its own channel",
            PingPongFutures => "ping-pong, futures mpsc",
            RunReady => "run: ready",
            RunYield => "run: one yield",
            RunTask => "run: spawn + join",
            SleepThousand => "sleep dropped, 1,000 others",
            SleepMillion => "sleep dropped, 1,000,000 others",
            SetThousand => "sleep set, 1,000 others",
            SetMillion => "sleep set, 1,000,000 others",
            ResetThousand => "sleep reset, of 1,000",
            ResetMillion => "sleep reset, of 1,000,000",
            RoundTrip => "round trip to another thread",
            Flood => "flood from another thread",
            Blocking => "spawn_blocking",
            Lookup => "get_event_loop()",
        }
    }

    /// By its name, or as it is written here, in any case.
    pub fn by_name(name: &str) -> Option<Workload> {
        Workload::ALL
            .into_iter()
            .find(|known| known.name() == name || format!("{known:?}").eq_ignore_ascii_case(name))
    }

    pub fn clock(self) -> Clock {
        match self {
            RoundTrip | Flood | Blocking => Clock::Wall,
            _ => Clock::Thread,
        }
    }

    pub fn needs(self) -> &'static [Need] {
        match self {
            YieldItsWay => &[Need::Yield],
            PingPongItsOwn => &[Need::Channel],
            SleepThousand | SetThousand => &[Need::Timers],
            SleepMillion | SetMillion => &[Need::Timers, Need::ManyWakers],
            ResetThousand => &[Need::Reset],
            ResetMillion => &[Need::Reset, Need::ManyWakers],
            Blocking => &[Need::Blocking],
            Lookup => &[Need::Lookup],
            _ => &[],
        }
    }

    /// The least that can be done of it: all others are multiples.
    pub fn batch(self) -> usize {
        match self {
            SpawnThousand | WaitThousand | YieldThousand => 1_000,
            Unordered => 10_000,
            SpawnHundredThousand => 100_000,
            WaitMillion | YieldMillion => 1_000_000,
            _ => 1,
        }
    }

    /// Operations in one measurement: some milliseconds of work, where it takes no more by its nature.
    pub fn operations(self) -> usize {
        match self {
            RoundTrip | Blocking => 500,
            RunReady | RunYield | RunTask => 5_000,
            YieldOne | YieldThousand | YieldItsWay | WakeStored => 50_000,
            WakeRedundant | WakerClone | Lookup => 100_000,
            SpawnHundredThousand => 100_000,
            WaitMillion => 1_000_000,
            YieldMillion => 2_000_000,
            Flood => 50_000,
            _ => 20_000,
        }
    }

    /// Does `n` operations, and says what they took.
    pub fn perform<R: Runtime>(self, runtime: &mut R, n: usize) -> Duration {
        match self {
            SpawnJoin => tasks::spawned_and_joined(runtime, n),
            SpawnThousand | SpawnHundredThousand => tasks::in_batches(runtime, self.batch(), n),
            WaitThousand | WaitMillion => tasks::waiting(runtime, self.batch(), n).all(),
            YieldOne | YieldThousand | YieldMillion => wakes::yielding(runtime, self.batch(), n),
            YieldItsWay => wakes::yielding_its_way(runtime, n),
            WakeStored => wakes::stored(runtime, n),
            WakeRedundant => wakes::redundant(runtime, n),
            WakerClone => wakes::cloned_and_dropped(runtime, n),
            Unordered => tasks::unordered(runtime, n),
            PingPongItsOwn => channels::its_own(runtime, n),
            PingPongFutures => channels::of_futures(runtime, n),
            RunReady => runs::of_a_ready_future(runtime, n),
            RunYield => runs::of_a_yield(runtime, n),
            RunTask => runs::of_a_task(runtime, n),
            SleepThousand => timers::made_and_dropped(runtime, 1_000, n),
            SleepMillion => timers::made_and_dropped(runtime, 1_000_000, n),
            SetThousand => timers::set(runtime, 1_000, n),
            SetMillion => timers::set(runtime, 1_000_000, n),
            ResetThousand => timers::reset(runtime, 1_000, n),
            ResetMillion => timers::reset(runtime, 1_000_000, n),
            RoundTrip => threads::round_trip(runtime, n),
            Flood => threads::flood(runtime, n),
            Blocking => threads::blocking(runtime, n),
            Lookup => runs::of_lookups(runtime, n),
        }
    }
}
