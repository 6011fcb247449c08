//! Breakages of the gate on purpose. They live in the models of the ports and in the scheduler, never in what ships.

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
    VerdictUnrecorded "verdict-unrecorded" "The last word is said without being written down first.",
    NoHeartbeat "no-heartbeat" "Nothing is said before the last word is due.",
    RelayGivesUp "relay-gives-up" "A callback that meets a 5xx counts as refused.",
    RefusalUnheeded "refusal-unheeded" "A callback that is refused counts as one to be tried again.",
    AdmitTwice "admit-twice" "A task result that comes again is recorded anew.",
    TornAdmit "torn-admit" "A task result is recorded without its last check.",
    NeedsIgnored "needs-ignored" "A check begins whatever it needs.",
    WakesDropped "wakes-dropped" "Nobody is woken when what they need is over.",
    TellsDropped "tells-dropped" "Nobody is told that a check has come further.",
    DeadlineIgnored "deadline-ignored" "A task result never runs out of time.",
    LateAnswerTaken "late-answer-taken" "What another checker says after the end is taken.",
    NoLease "no-lease" "A check that another has taken on is given out again.",
    GuardIgnored "guard-ignored" "A check is written over whatever somebody else has written meanwhile.",
    VersionIgnored "version-ignored" "What was told is written over whatever somebody else has written meanwhile.",
    TokenLeft "token-left" "The access token outlives the answer.",
    EndedAgain "ended-again" "A check that has ended is carried out again.",
    HandedOnAgain "handed-on-again" "A check that another has taken on is handed on again.",
    EnforcementIgnored "enforcement-ignored" "An advisory check can fail the result.",
    OnErrorIgnored "on-error-ignored" "A check without a verdict always fails the result.",
    NoSweeper "no-sweeper" "Nobody rings again for what is due.",
    TokenLeaks "token-leaks" "An error of a check holds the access token.",
    ChattyRelay "chatty-relay" "HCP Terraform is told every few seconds that it goes on.",
}

impl Mutation {
    /// The mutation called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutation| mutation.name() == name)
    }
}
