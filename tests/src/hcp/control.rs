//! What a person, a version control system or a test does to the simulator.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::faults::Faults;
use super::handle::Hcp;
use super::model::{Failures, RunOptions, Token, Workspace, World};
use super::notify::{Configuration, RUN_TRIGGERS};
use super::options::{Downloads, Limits, Plans, Rights, Timings, TokenKind};
use super::program::{Output, Program};
use super::runs::Conflict;
use super::spec::WorkspaceSpec;

#[expect(clippy::must_use_candidate, reason = "these are called for what they do")]
impl Hcp {
    /// Makes a token valid.
    pub fn add_token(&self, token: &str, kind: TokenKind, user: &str) {
        self.core.with(|world| {
            world.tokens.insert(token.to_owned(), Token { kind, user: user.to_owned(), rights: Rights::ALL })
        });
    }

    /// Makes a token invalid.
    pub fn revoke_token(&self, token: &str) {
        self.core.with(|world| world.tokens.remove(token));
    }

    /// Adds a workspace without a state, and returns its id.
    ///
    /// # Panics
    ///
    /// If there is one of the same name.
    pub fn add_workspace(&self, spec: WorkspaceSpec) -> String {
        self.core.with(|world| world.add_workspace(spec))
    }

    /// Gives a workspace the state that a run would, at once and without telling anybody. What it reads must have been
    /// given a state before.
    ///
    /// # Panics
    ///
    /// If a run would have failed.
    #[track_caller]
    pub fn apply_now(&self, workspace: &str) {
        let done = self.change_of(workspace, |state, id| state.apply_now(id, "day one"));
        if let Err(error) = done {
            panic!("{workspace} cannot be applied: {error}");
        }
    }

    /// Has a workspace notify `url` of everything, signed with `token` unless that is empty. Returns the id of the
    /// notification configuration. Nothing is verified.
    #[track_caller]
    pub fn notify(&self, workspace: &str, url: &str, token: &str) -> String {
        self.notify_of(workspace, url, token, &RUN_TRIGGERS)
    }

    /// Has a workspace notify `url` of these triggers alone.
    #[track_caller]
    pub fn notify_of(&self, workspace: &str, url: &str, token: &str, triggers: &[&str]) -> String {
        self.change_of(workspace, |world, id| {
            let mut configuration = world.new_configuration(id, "sluice", url, Some(token));
            configuration.triggers = triggers.iter().map(|&trigger| trigger.to_owned()).collect();
            let id = configuration.id.clone();
            world.configurations.insert(id.clone(), configuration);
            id
        })
    }

    /// Has every workspace there is notify `url` of everything.
    pub fn notify_all(&self, url: &str, token: &str) {
        for workspace in self.workspaces() {
            self.notify(&workspace, url, token);
        }
    }

    /// Sends a notification configuration's verification; what the receiver answered, if anything.
    ///
    /// # Panics
    ///
    /// If there is no such configuration.
    pub async fn verify(&self, configuration: &str) -> Option<u16> {
        let outgoing = self.core.look(|world| {
            let configuration = world.configurations.get(configuration)?;
            Some(configuration.verification(world.subscriber_name(&configuration.subscriber)?))
        });
        let outgoing = outgoing.unwrap_or_else(|| panic!("there is no notification configuration {configuration}"));
        let status = self.core.send(&outgoing).await;
        self.core.with(|world| world.delivered(&outgoing, status));
        status
    }

    /// A new configuration version that puts out this value. It takes a run to apply it.
    #[track_caller]
    pub fn change(&self, workspace: &str, output: &str, value: impl Into<Value>) {
        self.edit(workspace, |program| {
            let output = program.outputs.entry(output.to_owned()).or_insert_with(|| Output::fixed(Value::Null));
            output.source = Output::fixed(value).source;
        });
    }

    /// A new configuration version that changes a managed resource and no output.
    #[track_caller]
    pub fn touch(&self, workspace: &str) {
        self.edit(workspace, |_| {});
    }

    /// A new configuration version, edited at will.
    #[track_caller]
    pub fn edit(&self, workspace: &str, edit: impl FnOnce(&mut Program)) {
        // Edited without the lock, as an edit likes to ask for the simulator's host.
        let mut program = self.of(workspace, |_, workspace| workspace.program.clone());
        edit(&mut program);
        self.settings(workspace, |workspace| {
            workspace.revision += 1;
            workspace.configured = true;
            workspace.program = program;
        });
    }

    /// Creates a run, as a push or a person does, and returns its id.
    ///
    /// # Panics
    ///
    /// If the workspace has no configuration version.
    #[track_caller]
    pub fn start_run(&self, workspace: &str, options: RunOptions) -> String {
        let run = self.change_of(workspace, |world, id| world.create_run(id, options));
        run.unwrap_or_else(|| panic!("{workspace} has no configuration version"))
    }

    /// A person confirms a run's plan; false if there is nothing to confirm.
    pub fn confirm(&self, run: &str) -> bool {
        self.steer(|world| world.confirm(run, &world.options.user.clone()))
    }

    /// A person discards a run; false if it is beyond that.
    pub fn discard(&self, run: &str) -> bool {
        self.steer(|world| world.discard(run))
    }

    /// A person cancels a run; false if it is beyond that.
    pub fn cancel(&self, run: &str) -> bool {
        self.steer(|world| world.cancel(run))
    }

    /// A person locks a workspace. A run that has begun goes on; others wait.
    #[track_caller]
    pub fn lock(&self, workspace: &str) {
        self.settings(workspace, |workspace| workspace.locked = true);
    }

    /// A person unlocks a workspace.
    #[track_caller]
    pub fn unlock(&self, workspace: &str) {
        self.settings(workspace, |workspace| workspace.locked = false);
        self.change_of(workspace, World::advance);
    }

    /// Sets whether a workspace's new runs apply without confirmation.
    #[track_caller]
    pub fn auto_apply(&self, workspace: &str, auto_apply: bool) {
        self.settings(workspace, |workspace| workspace.auto_apply = auto_apply);
    }

    /// A person sets a workspace's tags; those that it had are gone.
    #[track_caller]
    pub fn set_tags(&self, workspace: &str, tags: &[&str]) {
        self.settings(workspace, |workspace| workspace.tags = tags.iter().map(|&tag| tag.to_owned()).collect());
    }

    /// A person takes a workspace's configuration versions away: no run can be created until the next
    /// [`change`](Self::change).
    #[track_caller]
    pub fn unconfigure(&self, workspace: &str) {
        self.settings(workspace, |workspace| workspace.configured = false);
    }

    /// Deletes a workspace, with its runs and states.
    #[track_caller]
    pub fn delete(&self, workspace: &str) {
        self.change_of(workspace, World::delete_workspace);
    }

    /// Renames a workspace; its id stays.
    ///
    /// # Panics
    ///
    /// If the name is taken.
    #[track_caller]
    pub fn rename(&self, workspace: &str, name: &str) {
        let renamed = self.change_of(workspace, |world, id| world.rename_workspace(id, name));
        assert!(renamed, "there is a workspace {name} already");
    }

    /// Makes these bytes a workspace's current state, whatever they are; of version 4, others can read it.
    #[track_caller]
    pub fn set_state(&self, workspace: &str, body: impl Into<Vec<u8>>) {
        self.change_of(workspace, |world, id| {
            let serial = world.next_serial(id);
            let mut version = world.state_version(id, body.into(), Duration::ZERO, false);
            version.serial = version.serial.max(serial);
            world.add_state_version(version);
        });
    }

    /// Writes a state in which this output has this value and all else is as it was, without any run, as `terraform
    /// state push` or an apply on somebody's own machine does. Nobody is told, and the configuration stays: the next
    /// run plans to put back what that says.
    #[track_caller]
    pub fn push_state(&self, workspace: &str, output: &str, value: impl Into<Value>) {
        let value = value.into();
        self.change_of(workspace, |world, id| world.push_state(id, output, &value));
    }

    /// Sets how a workspace's runs fail. `set` must not ask the simulator.
    #[track_caller]
    pub fn failures(&self, workspace: &str, set: impl FnOnce(&mut Failures)) {
        self.settings(workspace, |workspace| set(&mut workspace.failures));
    }

    /// The next plan of a workspace fails.
    #[track_caller]
    pub fn fail_next_plan(&self, workspace: &str) {
        self.failures(workspace, |failures| failures.next_plans += 1);
    }

    /// The next apply of a workspace fails.
    #[track_caller]
    pub fn fail_next_apply(&self, workspace: &str) {
        self.failures(workspace, |failures| failures.next_applies += 1);
    }

    /// Plans of a workspace fail until told otherwise.
    #[track_caller]
    pub fn fail_while(&self, workspace: &str, fails: bool) {
        self.failures(workspace, |failures| failures.plans = fails);
    }

    /// Sets the faults of the API, of notifications and of requests to run tasks. Neither `set` nor a predicate may ask the simulator.
    pub fn faults(&self, set: impl FnOnce(&mut Faults)) {
        self.core.with(|world| set(&mut world.faults));
    }

    /// Sets how long things take from now on.
    pub fn timings(&self, timings: Timings) {
        self.core.with(|world| world.options.timings = timings);
    }

    /// Sets the request limits from now on.
    pub fn limits(&self, limits: Limits) {
        self.core.with(|world| world.options.limits = limits);
    }

    /// Sets where state files are downloaded from, from now on.
    pub fn downloads(&self, downloads: Downloads) {
        self.core.with(|world| world.options.downloads = downloads);
    }

    /// Sets what plans look like as JSON, from now on.
    pub fn plans(&self, plans: Plans) {
        self.core.with(|world| world.options.plans = plans);
    }

    fn steer(&self, act: impl FnOnce(&mut World) -> Result<(), Conflict>) -> bool {
        self.core.with(act).is_ok()
    }

    #[track_caller]
    pub(super) fn settings(&self, workspace: &str, set: impl FnOnce(&mut Workspace)) {
        self.change_of(workspace, |world, id| {
            set(world.workspaces.get_mut(id).expect("the workspace has just been found"));
        });
    }

    #[track_caller]
    pub(super) fn change_of<R>(&self, workspace: &str, change: impl FnOnce(&mut World, &str) -> R) -> R {
        let found = self.core.with(|world| {
            let id = world.find(workspace)?.id.clone();
            Some(change(world, &id))
        });
        found.unwrap_or_else(|| panic!("there is no workspace {workspace}"))
    }
}

impl World {
    /// An enabled configuration of all triggers, not kept yet.
    pub(super) fn new_configuration(
        &mut self,
        subscriber: &str,
        name: &str,
        url: &str,
        token: Option<&str>,
    ) -> Configuration {
        Configuration {
            id: self.next_id("nc"),
            subscriber: subscriber.to_owned(),
            destination: "generic".to_owned(),
            name: name.to_owned(),
            url: url.to_owned(),
            token: token.filter(|token| !token.is_empty()).map(str::to_owned),
            enabled: true,
            triggers: RUN_TRIGGERS.map(str::to_owned).into_iter().collect::<BTreeSet<_>>(),
            created_at: self.clock.tick(),
            last: None,
        }
    }
}
