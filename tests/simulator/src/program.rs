//! What a workspace's configuration reads and uses, and how that changes when somebody rewrites it.

use std::collections::BTreeMap;

use sluice_domain::{TaughtRead, Workspace};

use crate::hcp::{Hcp, mix};
use crate::scenario::Spec;

/// How a workspace's configuration goes about what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each may go with each")]
pub struct Habits {
    /// Only its first output follows from its inputs, and the others change every second time.
    pub splits: bool,
    /// It uses only some outputs of what it reads: which, follows from how often it was rewritten.
    pub partly: bool,
    /// It reads only some of the workspaces that it may read.
    pub sometimes: bool,
    /// Its plans are shown to Sluice.
    pub gated: bool,
    /// Makes it differ from others.
    pub salt: u8,
}

impl Spec {
    /// Numbers of the workspaces that the configuration reads, once it was rewritten so often.
    pub fn reads_in(&self, program: u64) -> impl Iterator<Item = usize> {
        let reads = move |read: &usize| !self.habits.sometimes || self.toss(program, *read, 9) & 3 != 0;
        self.reads.iter().copied().filter(reads)
    }

    /// Whether it uses that output of a workspace that it reads.
    #[must_use]
    pub fn uses(&self, program: u64, read: usize, output: usize) -> bool {
        !self.habits.partly || self.toss(program, read, output) & 1 == 1
    }

    /// Counts the programs that read or used something else than the one before: what follows from them never comes
    /// back as it was.
    #[must_use]
    pub fn edition(&self, program: u64) -> u64 {
        let uses = |program: u64| -> Vec<bool> {
            let each = |read: usize| (0..2).map(move |output| (read, output));
            let reads: Vec<usize> = self.reads_in(program).collect();
            let used = |(read, output)| reads.contains(&read) && self.uses(program, read, output);
            self.reads.iter().copied().flat_map(each).map(used).collect()
        };
        (1..=program).filter(|program| uses(*program) != uses(program - 1)).count() as u64
    }

    fn toss(&self, program: u64, read: usize, output: usize) -> u64 {
        mix(mix(program, read as u64 + 1), mix(output as u64, self.habits.salt.into())) >> 7
    }
}

impl Hcp {
    /// What the plan of a run says is read and used.
    #[must_use]
    pub fn lesson(&self, run: usize) -> BTreeMap<Workspace, TaughtRead> {
        let run = &self.runs[run];
        let spec = &self.sites[run.workspace].spec;
        let taught = |(read, name): (usize, Workspace)| {
            let outputs = 0..usize::from(self.sites[read].spec.outputs);
            let outputs = outputs.filter(|output| spec.uses(run.program, read, *output));
            let uses = spec.habits.partly.then(|| outputs.map(|output| format!("o{output}")).collect());
            (name.clone(), TaughtRead { addresses: [format!("data.planned.{}", name.name)].into(), uses })
        };
        run.saw.iter().map(|(read, seen)| taught((*read, seen.name.clone()))).collect()
    }
}
