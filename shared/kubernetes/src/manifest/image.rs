//! The pod of an image: Lagoon's advanced task, Terrakube's ephemeral executor.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile, SecurityContext,
};
use sluice_domain::ports::JobOrder;

use super::CONTAINER;
use super::container::{DEPLOYER, env, env_from, quantities, some, tolerations, volumes};
use crate::error::ClusterError;

/// The group that volumes belong to unless told otherwise, as with Terrakube.
const FS_GROUP: i64 = 1000;

pub(super) fn pod(order: &JobOrder<'_>, image: Option<&str>) -> Result<PodSpec, ClusterError> {
    let settings = &order.settings;
    let image = image.map(str::to_owned).or_else(|| settings.image.clone()).ok_or(ClusterError::NoImage)?;
    let (requests, limits) = settings.resources();
    let (volumes, mounts) = volumes(order);
    // Who wants no root wants none of its powers: with that, namespaces take it that allow nothing else.
    let capabilities = settings.run_as_non_root.filter(|non_root| *non_root);
    let capabilities = capabilities.map(|_| Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) });
    let container = Container {
        name: CONTAINER.to_owned(),
        image: Some(image),
        image_pull_policy: Some("Always".to_owned()),
        env: Some(env(order, Vec::new(), &[])),
        env_from: some(env_from(order)),
        resources: Some(ResourceRequirements {
            requests: quantities(requests),
            limits: quantities(limits),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(settings.allow_privilege_escalation.unwrap_or(false)),
            capabilities,
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts),
        ..Container::default()
    };
    let account = if order.spec.deployer_token { Some(DEPLOYER.to_owned()) } else { settings.service_account.clone() };
    Ok(PodSpec {
        restart_policy: Some("Never".to_owned()),
        enable_service_links: Some(false),
        // Only who is given an account has its token.
        automount_service_account_token: Some(account.is_some()),
        service_account_name: account,
        security_context: Some(PodSecurityContext {
            fs_group: settings.fs_group.or(Some(FS_GROUP)),
            run_as_user: settings.run_as_user,
            run_as_non_root: settings.run_as_non_root,
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        node_selector: Some(settings.node_selector.clone()).filter(|selector| !selector.is_empty()),
        tolerations: some(tolerations(order)),
        containers: vec![container],
        volumes: Some(volumes),
        ..PodSpec::default()
    })
}
