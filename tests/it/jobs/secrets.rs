//! What must be nowhere: HCP Terraform's token in the cluster at all, and the tokens and the payload of a job anywhere
//! but in its Secret. What is printed is looked through where `sluice serve` is killed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PostParams;
use serde_json::json;

use super::scene::{IMAGE, JobScene, check, of, sh, variables};
use crate::gate::leaks;
use crate::gate::scene::assert_passed;

/// An argument that is nobody's business.
const ARGUMENT: &str = "what-only-the-program-may-know";

/// A text as it is, and as Kubernetes may hold it.
fn forms(secret: &str) -> [String; 3] {
    [secret.to_owned(), STANDARD.encode(secret), hex::encode(secret)]
}

#[tokio::test]
async fn a_secret_is_in_the_jobs_secret_and_nowhere_else() {
    let scene = JobScene::new().await;
    let (image, service) = (scene.file("image"), scene.file("service"));
    let looks = sh("env -0 > $DUMP").env("DUMP", image.to_str().unwrap());
    let _kubelet = scene.kubelet([(IMAGE, looks)]).await;
    let cli: Deployment = of(json!({
        "metadata": { "name": "cli" },
        "spec": {
            "selector": { "matchLabels": { "app": "cli" } },
            "template": {
                "metadata": { "labels": { "app": "cli" } },
                "spec": { "containers": [{ "name": "cli", "image": IMAGE }] },
            },
        },
    }));
    scene.api::<Deployment>().create(&PostParams::default(), &cli).await.unwrap();
    let command = format!("env -0 > {}", service.display());
    let arguments = json!({ "ARGUMENT": ARGUMENT });
    let result = scene
        .ask(&json!([
            check("image", json!({ "image": IMAGE, "arguments": arguments })),
            check("service", json!({ "service": "cli", "command": command, "arguments": arguments })),
        ]))
        .await;
    assert_passed(&result);
    let (image, service) = (variables(&scene.read("image")), variables(&scene.read("service")));
    assert_eq!(service["ARGUMENT"], ARGUMENT);
    let tokens = [&image, &service].map(|told| [&told["terrakubeToken"], &told["SLUICE_TOKEN"]]);
    let tokens: Vec<&String> = tokens.into_iter().flatten().collect();
    let distinct: std::collections::BTreeSet<_> = tokens.iter().collect();
    assert_eq!(distinct.len(), 4, "a token is good for more than one thing");

    // Every version that there ever was of anything but Secrets.
    let everything = scene.cluster.everything();
    assert!(everything.contains("secretKeyRef") && everything.contains(&command), "nothing is stored");
    let payload = &image["JSON_PAYLOAD"];
    for secret in tokens.iter().copied().chain([payload, &ARGUMENT.to_owned()]) {
        for form in forms(secret) {
            let line = everything.lines().find(|line| line.contains(&form));
            assert!(line.is_none(), "a secret is in {line:?}");
        }
    }
    // Each Secret has what its own job needs, and nothing of the other's.
    let secrets = scene.cluster.secrets();
    for (check, told, other) in [("image", &image, &service), ("service", &service, &image)] {
        let held = &secrets[&scene.place(&result.id, check).to_string()];
        assert_eq!(held["env.terrakubeToken"], told["terrakubeToken"].as_bytes());
        assert_eq!(held["env.SLUICE_TOKEN"], told["SLUICE_TOKEN"].as_bytes());
        let all: Vec<_> = held.values().map(|value| String::from_utf8(value.clone()).unwrap()).collect();
        let all = all.join("\n");
        assert!(!all.contains(&other["terrakubeToken"]) && !all.contains(&other["SLUICE_TOKEN"]));
    }
    assert_eq!(secrets.len(), 2, "{:?}", secrets.keys());

    // HCP Terraform's own token, whole or in part, is not even there.
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let held: String = secrets.values().flat_map(|data| data.values().map(text)).collect();
    leaks::assert_absent(scene.scene.hcp(), "a Secret", &held);
    leaks::assert_absent(scene.scene.hcp(), "the cluster", &everything);
    for token in scene.scene.hcp().access_tokens() {
        let (_, secret) = token.split_once(".atlasv1.").unwrap();
        for part in [&secret[..secret.len() / 2], &secret[secret.len() / 2..]] {
            assert!(!held.contains(part) && !everything.contains(part), "a part of an access token is in the cluster");
        }
    }
    // The table can do without them: each can be made again.
    let table = leaks::dump(scene.scene.world.endpoint()).await;
    for secret in tokens {
        for form in forms(secret) {
            assert!(!table.contains(&form), "a token is in the table");
        }
    }
    // Nobody has looked into a Secret but for the node.
    assert_eq!(["get", "list", "watch"].map(|verb| scene.cluster.count(verb, "secrets")), [0, 0, 0]);
    scene.end().await;
}
