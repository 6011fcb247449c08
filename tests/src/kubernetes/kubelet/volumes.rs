//! The volumes of a pod, as directories of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::env;
use super::source::{Missing, Sources};

/// Makes every volume of a pod below a directory. The error is what the event says.
pub(super) async fn materialise(sources: &Sources, pod: &Value, directory: &Path) -> Result<(), Missing> {
    for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
        let name = volume["name"].as_str().unwrap_or_default();
        let path = directory.join(name);
        let made = async {
            fs::create_dir_all(&path).map_err(|why| Missing(why.to_string()))?;
            let files = files(sources, pod, volume).await?;
            write(&path, &files).map_err(|why| Missing(why.to_string()))
        };
        made.await
            .map_err(|Missing(why)| Missing(format!("MountVolume.SetUp failed for volume \"{name}\" : {why}")))?;
    }
    Ok(())
}

/// A file of a volume.
struct File {
    path: String,
    content: Vec<u8>,
    mode: u32,
}

async fn files(sources: &Sources, pod: &Value, volume: &Value) -> Result<Vec<File>, Missing> {
    for kind in ["secret", "configMap", "downwardAPI"] {
        if volume[kind].is_object() {
            return source(sources, pod, kind, &volume[kind], mode_of(&volume[kind])).await;
        }
    }
    let mut files = Vec::new();
    let mode = mode_of(&volume["projected"]);
    for projected in volume["projected"]["sources"].as_array().into_iter().flatten() {
        for kind in ["secret", "configMap", "downwardAPI", "serviceAccountToken"] {
            if projected[kind].is_object() {
                files.extend(source(sources, pod, kind, &projected[kind], mode).await?);
            }
        }
    }
    // Whatever else it is begins empty.
    Ok(files)
}

fn mode_of(source: &Value) -> u32 {
    source["defaultMode"].as_u64().and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o644)
}

async fn source(sources: &Sources, pod: &Value, kind: &str, from: &Value, mode: u32) -> Result<Vec<File>, Missing> {
    let items = from["items"].as_array().map(Vec::as_slice);
    let of = |item: &Value, content: Vec<u8>| File {
        path: item["path"].as_str().unwrap_or_default().to_owned(),
        content,
        mode: item["mode"].as_u64().and_then(|mode| u32::try_from(mode).ok()).unwrap_or(mode),
    };
    match kind {
        "serviceAccountToken" => {
            let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
            let token = sources.token(account, from["expirationSeconds"].as_i64()).await?;
            return Ok(vec![of(from, token.into_bytes())]);
        }
        "downwardAPI" => {
            let field = |item: &Value| {
                let path = item["fieldRef"]["fieldPath"].as_str().unwrap_or_default();
                env::field(pod, path).map(|text| of(item, text.into_bytes()))
            };
            return items.unwrap_or_default().iter().map(field).collect();
        }
        _ => {}
    }
    let name = from["secretName"].as_str().or(from["name"].as_str()).unwrap_or_default();
    let data: BTreeMap<String, Vec<u8>> = match sources.data(kind, name).await {
        Err(Missing(_)) if from["optional"] == true => return Ok(Vec::new()),
        data => data?,
    };
    let Some(items) = items else {
        return Ok(data.into_iter().map(|(path, content)| of(&json!({ "path": path }), content)).collect());
    };
    let mut files = Vec::new();
    for item in items {
        let key = item["key"].as_str().unwrap_or_default();
        match data.get(key) {
            Some(content) => files.push(of(item, content.clone())),
            None if from["optional"] == true => {}
            None => {
                let title = if kind == "secret" { "secret" } else { "config" };
                return Err(Missing(format!("references non-existent {title} key: {key}")));
            }
        }
    }
    Ok(files)
}

fn write(directory: &Path, files: &[File]) -> std::io::Result<()> {
    for file in files {
        let path = directory.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
    }
    Ok(())
}

/// Makes the root directory of a container, in which its volumes lie where it mounts them.
pub(super) fn mount(container: &Value, volumes: &Path, root: &Path) -> std::io::Result<()> {
    fs::create_dir_all(root)?;
    let mut mounts: Vec<_> = container["volumeMounts"].as_array().into_iter().flatten().collect();
    // What is mounted inside of another comes after it.
    mounts.sort_by_key(|mount| mount["mountPath"].as_str().map_or(0, str::len));
    for mount in mounts {
        let text = |field: &str| mount[field].as_str().unwrap_or_default().trim_matches('/');
        let mut source: PathBuf = volumes.join(text("name"));
        if !text("subPath").is_empty() {
            source.push(text("subPath"));
            if !source.exists() {
                fs::create_dir_all(&source)?;
            }
        }
        let place = root.join(text("mountPath"));
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(source, place)?;
    }
    Ok(())
}
