//! Breakages on purpose: each proves that the simulator sees what it is there to see. They live in the models of the
//! ports and in the scheduler, never in what ships.

macro_rules! mutations {
    ($($variant:ident $name:literal $breaks:literal,)*) => {
        /// A breakage on purpose.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutation {
            $(#[doc = $breaks] $variant,)*
        }

        impl Mutation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it breaks.
            #[must_use]
            pub fn breaks(self) -> &'static str {
                match self { $(Self::$variant => $breaks,)* }
            }
        }
    };
}

mutations! {
    NoAcknowledgement "no-acknowledgement" "What a run has seen without writing it down is forgotten.",
    NoMarkerLook "no-marker-look" "A run that an earlier attempt may have created is never found.",
    WaitIgnored "wait-ignored" "What should wait for an ancestor is ordered at once.",
    WaitersDropped "waiters-dropped" "Nobody is written down as waiting for anybody.",
    NoVersionCheck "no-version-check" "Facts are written over whatever somebody else has written meanwhile.",
    TornCommits "torn-commits" "A commit is made in two halves, and a failure between them leaves the first.",
    NoLease "no-lease" "Work that another has taken on is given out again.",
    RefusalsStripped "refusals-stripped" "Nobody remembers for which inputs a run failed.",
    WatchesDropped "watches-dropped" "The end of a run that Sluice created is never looked for.",
    CompleteIgnoresSeq "complete-ignores-seq" "Work that was asked for again while it was done counts as done.",
    TriedLost "tried-lost" "A second attempt does not know that the first may have had its effect.",
    NoSweeper "no-sweeper" "Nobody rings again for what is due.",
    NoCutOff "no-cut-off" "Every state version looks as if all its outputs had changed.",
    NoHealingLook "no-healing-look" "When a workspace that was refused gets through, nobody below is looked at.",
    ActiveUnrecorded "active-unrecorded" "Nobody remembers which runs are under way.",
    CyclesRun "cycles-run" "Edges of a cycle trigger.",
    ConflictStopsLook "conflict-stops-look" "After one conflict, a look decides about nobody else.",
    ConsumersDropped "consumers-dropped" "Nobody is written down as reading anybody.",
    DestroysForgotten "destroys-forgotten" "A destroyed workspace looks like one that is merely empty.",
    MarkersShared "markers-shared" "All runs of a workspace carry the same marker.",
    NoPace "no-pace" "Every request takes its turn at once.",
    SlowDownIgnored "slow-down-ignored" "After a 429 turns follow each other as before.",
    NoSurvey "no-survey" "What no notification told is never looked for.",
    TagsIgnored "tags-ignored" "What a workspace's tags allow is not read before a run is created.",
    PauseIgnored "pause-ignored" "Runs are created though a person has stopped that.",
    BudgetIgnored "budget-ignored" "There is always room for one more run.",
    UnderwayLeaks "underway-leaks" "A run that is over is never counted out.",
    DiscardedPlans "uses-of-discarded-plans" "The plan of a run that was discarded comes into force.",
    UsesKept "uses-kept-for-ever" "What a plan taught stays in force after runs whose plans nobody has seen.",
    PlansForgotten "plans-forgotten" "What only a plan shows is not kept.",
    LooksDropped "looks-dropped" "The end of a run has nobody looked at.",
}

impl Mutation {
    /// The mutation called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutation| mutation.name() == name)
    }
}
