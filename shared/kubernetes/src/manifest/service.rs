//! The pod of a command: a copy of a service's, and in it the command. Lagoon's standard task.

use k8s_openapi::api::core::v1::{
    Container, PodSecurityContext, PodSpec, ResourceRequirements, SecurityContext, Volume, VolumeMount,
};
use sluice_domain::gate::FsGroup;
use sluice_domain::ports::JobOrder;

use super::container::{DEPLOYER, env, env_from, quantities, some, tolerations, verbatim, volumes};
use crate::error::ClusterError;

/// What runs the command: as Lagoon's images want it where the image is one of them, or else a shell. The command is
/// an argument: nothing is put into this text.
const WRAPPER: &str = "if [ -x /lagoon/entrypoints.sh ] && [ -x /sbin/tini ]; then \
    exec /sbin/tini -- /lagoon/entrypoints.sh /bin/sh -c \"$1\"; fi; exec /bin/sh -c \"$1\"";
/// A variable that makes Lagoon's images run the service's own schedule.
const CRONJOBS: &str = "CRONJOBS";

/// What Lagoon calls a service's project and environment: tools of its images act on whatever these say, and that is not
/// the workspace where the service knows better.
const PROJECT: [&str; 2] = ["LAGOON_PROJECT", "LAGOON_GIT_BRANCH"];

/// A copy of `template` that runs a command in one of its containers. The others stay away: a command that runs in
/// each of them runs more than once, and what they serve is served already.
pub(super) fn pod(
    order: &JobOrder<'_>,
    template: &PodSpec,
    (service, container, command): (&str, Option<&str>, &str),
) -> Result<PodSpec, ClusterError> {
    let named = |name: &str| template.containers.iter().find(|container| container.name == name);
    let found = match container {
        Some(name) => named(name),
        None => named(service).or_else(|| template.containers.first()),
    };
    let found = found.ok_or_else(|| ClusterError::NoContainer {
        service: service.to_owned(),
        container: container.unwrap_or(service).to_owned(),
    })?;
    let settings = &order.settings;
    let (volumes, mounts) = free(volumes(order), found);
    let mut pod = PodSpec {
        restart_policy: Some("Never".to_owned()),
        active_deadline_seconds: None,
        containers: vec![run(order, found, command, mounts)],
        // What else there is of them prepares what the command may need.
        init_containers: template.init_containers.clone().map(|all| all.into_iter().map(discreet).collect()),
        ..template.clone()
    };
    pod.volumes.get_or_insert_default().extend(volumes);
    if !settings.node_selector.is_empty() {
        pod.node_selector = Some(settings.node_selector.clone());
    }
    pod.tolerations = some(pod.tolerations.unwrap_or_default().into_iter().chain(tolerations(order)).collect());
    let account = if order.spec.deployer_token { Some(DEPLOYER.to_owned()) } else { settings.service_account.clone() };
    if let Some(account) = account {
        pod.service_account_name = Some(account);
        pod.service_account = None;
        pod.automount_service_account_token = Some(true);
    }
    let (group, user, non_root) = (settings.fs_group, settings.run_as_user, settings.run_as_non_root);
    if group != FsGroup::Unsaid || user.is_some() || non_root.is_some() {
        let copied = pod.security_context.take().unwrap_or_default();
        pod.security_context = Some(PodSecurityContext {
            fs_group: group.or(copied.fs_group),
            run_as_user: user.or(copied.run_as_user),
            run_as_non_root: non_root.or(copied.run_as_non_root),
            ..copied
        });
    }
    Ok(pod)
}

/// Without what the container has a volume for already, wherever that comes from: what the service has there the command
/// expects there.
fn free((volumes, mounts): (Vec<Volume>, Vec<VolumeMount>), copied: &Container) -> (Vec<Volume>, Vec<VolumeMount>) {
    let held = copied.volume_mounts.as_deref().unwrap_or_default();
    let path = |mount: &VolumeMount| mount.mount_path.trim_end_matches('/').to_owned();
    let free = |(_, new): &(Volume, VolumeMount)| held.iter().all(|old| path(old) != path(new));
    volumes.into_iter().zip(mounts).filter(free).unzip()
}

/// What a container writes is not its termination message, which is shown to more people.
fn discreet(container: Container) -> Container {
    Container { termination_message_policy: None, termination_message_path: None, ..container }
}

fn run(order: &JobOrder<'_>, copied: &Container, command: &str, mounts: Vec<VolumeMount>) -> Container {
    let settings = &order.settings;
    let mut copied_env = copied.env.clone().unwrap_or_default();
    copied_env.retain(|variable| variable.name != CRONJOBS);
    // Variables that are not listed here come out of Lagoon's own config map, and one that is set hides them.
    let unlisted = copied.env_from.as_ref().is_some_and(|sources| !sources.is_empty());
    let knows = |name: &&str| unlisted || copied_env.iter().any(|variable| variable.name == *name);
    let left: Vec<&str> = PROJECT.into_iter().filter(knows).collect();
    let mut container = Container {
        command: Some(["/bin/sh", "-c", WRAPPER, "sluice", &verbatim(command)].map(str::to_owned).to_vec()),
        args: None,
        env: Some(env(order, copied_env, &left)),
        env_from: some(copied.env_from.clone().unwrap_or_default().into_iter().chain(env_from(order)).collect()),
        ports: None,
        liveness_probe: None,
        readiness_probe: None,
        startup_probe: None,
        lifecycle: None,
        stdin: None,
        stdin_once: None,
        tty: None,
        ..discreet(copied.clone())
    };
    container.volume_mounts.get_or_insert_default().extend(mounts);
    if !settings.requests.is_empty() || !settings.limits.is_empty() {
        container.resources = Some(ResourceRequirements {
            requests: quantities(settings.requests.clone()),
            limits: quantities(settings.limits.clone()),
            ..ResourceRequirements::default()
        });
    }
    if let Some(escalation) = settings.allow_privilege_escalation {
        let copied = container.security_context.take().unwrap_or_default();
        container.security_context = Some(SecurityContext { allow_privilege_escalation: Some(escalation), ..copied });
    }
    container
}
