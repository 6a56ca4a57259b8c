//! The closed sets of words.

/// Makes an enum whose variants are words on the wire.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every word, in its order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Reads a word of the set; none for every other.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(super) use words;

words! {
    /// What an event says happened.
    pub enum Kind {
        /// A run exists; carries the whole task.
        Submitted = "submitted",
        /// SQS has accepted the run's task.
        Queued = "queued",
        /// A unit owns the run; an attempt begins.
        Claimed = "claimed",
        /// The work begins.
        Started = "started",
        /// The attempt ended badly.
        AttemptFailed = "attempt-failed",
        /// Kubernetes took the pod away; no retry is spent.
        AttemptDisrupted = "attempt-disrupted",
        /// The run's work is done.
        Succeeded = "succeeded",
        /// No attempt is left.
        Failed = "failed",
        /// By request.
        Cancelled = "cancelled",
        /// A pod found no message.
        Noop = "noop",
        /// A second copy of a run's message was dropped.
        Duplicate = "duplicate",
        /// A message that nobody can read.
        Rejected = "rejected",
        /// A pod never came to claim.
        ClaimFailed = "claim-failed",
    }
}

impl Kind {
    /// Whether the fact is a unit's, not a job's.
    pub const fn of_unit(self) -> bool {
        matches!(self, Self::Noop | Self::Duplicate | Self::Rejected | Self::ClaimFailed)
    }

    /// Whether the fact is a whole run's, so that its attempt is 0.
    pub const fn of_run(self) -> bool {
        matches!(self, Self::Submitted | Self::Queued | Self::Failed | Self::Cancelled)
    }
}

words! {
    /// The component that says an event.
    pub enum Source {
        /// HTTP in.
        Api = "api",
        /// Time in.
        Scheduler = "scheduler",
        /// This program.
        Processor = "processor",
        /// Kubernetes in.
        Bridge = "bridge",
    }
}

words! {
    /// Who made a run.
    pub enum TaskSource {
        /// Somebody posted it.
        Api = "api",
        /// A schedule's tick.
        Schedule = "schedule",
        /// A person or a program asked for another run.
        Requeue = "requeue",
        /// The type's `reruns` did.
        Rerun = "rerun",
        /// The queue's `onLost` did.
        Recovery = "recovery",
        /// The message was sent past us.
        Foreign = "foreign",
    }
}

words! {
    /// How far a unit's record has come. It only moves forward.
    pub enum UnitState {
        /// A message was received; the run record may or may not name this unit.
        Intent = "intent",
        /// The unit owns the run, and attempts are numbered.
        Owned = "owned",
        /// An outcome is recorded; no work may start any more.
        Closed = "closed",
    }
}

words! {
    /// How a run ended.
    pub enum Outcome {
        /// Its work is done.
        Succeeded = "succeeded",
        /// No attempt is left, or none can help.
        Failed = "failed",
        /// By request.
        Cancelled = "cancelled",
    }
}

impl Outcome {
    /// The event that says the outcome.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Succeeded => Kind::Succeeded,
            Self::Failed => Kind::Failed,
            Self::Cancelled => Kind::Cancelled,
        }
    }
}

words! {
    /// Why an attempt or a run ended badly. The order matters: of two voices, the earlier reason stands.
    pub enum Reason {
        /// The work said so: exit 65, or a built-in type's own error.
        AppError = "AppError",
        /// The work exited with another code than 0 and 65.
        AppExit = "AppExit",
        /// The work panicked.
        Panic = "Panic",
        /// The attempt outlived its timeout.
        Timeout = "Timeout",
        /// Kubernetes: the container broke its memory limit.
        OomKilled = "OOMKilled",
        /// Kubernetes: the pod was evicted.
        Evicted = "Evicted",
        /// Kubernetes: the pod made room for another.
        Preempted = "Preempted",
        /// Kubernetes: the node stopped answering.
        NodeLost = "NodeLost",
        /// Kubernetes: the deadline of the whole ran out.
        DeadlineExceeded = "DeadlineExceeded",
        /// Kubernetes: an image could not be pulled.
        ImagePull = "ImagePull",
        /// Kubernetes: a Secret, a `ConfigMap` or a volume is missing.
        ConfigError = "ConfigError",
        /// Kubernetes: the container could not be started.
        StartError = "StartError",
        /// Kubernetes: somebody deleted it.
        Deleted = "Deleted",
        /// It is gone and nobody can say why.
        Lost = "Lost",
        /// No claim could be made, time after time.
        ClaimError = "ClaimError",
        /// It outlived the queue's retention.
        Expired = "Expired",
        /// By request.
        Cancelled = "Cancelled",
        /// None of these.
        Unknown = "Unknown",
    }
}

impl Reason {
    /// The reason's place in the closed set, 0 the first.
    pub fn rank(self) -> usize {
        Self::ALL.iter().take_while(|reason| **reason != self).count()
    }

    /// Whether only Kubernetes can know this reason.
    pub fn infrastructure(self) -> bool {
        (Self::OomKilled..=Self::Lost).contains(&self)
    }
}
