//! One container of a pod: from its image to its process.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::image::is_image_name;
use super::node::Node;
use super::process::Process;
use super::source::Sources;
use super::status::State;
use super::{Ending, Image, env, volumes};

pub(super) struct Container {
    spec: Value,
    process: Option<Process>,
    ending: Option<Ending>,
    /// Whether its image could not be had before.
    refused: bool,
}

impl Container {
    pub fn new(spec: Value) -> Self {
        Self { spec, process: None, ending: None, refused: false }
    }

    fn text(&self, field: &str) -> &str {
        self.spec[field].as_str().unwrap_or_default()
    }

    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    pub fn terminate(&self) {
        self.process.iter().for_each(Process::terminate);
    }

    pub fn kill(&self) {
        self.process.iter().for_each(Process::kill);
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> i32 {
        let Some(process) = &mut self.process else { return std::future::pending().await };
        let code = process.wait().await;
        self.process = None;
        code
    }

    /// Starts it. The error is why it waits, or that it ended before it began.
    pub async fn start(
        &mut self,
        node: &Node,
        sources: &Sources,
        pod: &Value,
        directory: &Path,
    ) -> Result<State, State> {
        let image = self.pull(node)?;
        if image.ending == Some(Ending::NeverStarted) {
            return Err(State::waiting("ContainerCreating", ""));
        }
        let resolved = env::resolve(sources, pod, &self.spec).await;
        let variables = resolved.map_err(|missing| State::waiting("CreateContainerConfigError", &missing.0))?;
        let words = |field: &str| {
            let words = self.spec[field].as_array().into_iter().flatten().filter_map(Value::as_str);
            words.map(|word| env::expand(word, &variables)).collect()
        };
        let command = image.command(words("command"), words("args"));
        let name = self.text("name");
        let root = directory.join("roots").join(name);
        if !root.exists() {
            let mounted = volumes::mount(&self.spec, &directory.join("volumes"), &root);
            mounted.map_err(|why| State::waiting("CreateContainerError", &why.to_string()))?;
        }
        let variables = surroundings(node, pod, &image, &root, variables);
        let log = directory.join(format!("{name}.log"));
        match Process::start(&command, &variables, &root, &log) {
            Ok(process) => {
                self.process = Some(process);
                self.ending = image.ending;
                node.count(self.text("image"));
                Ok(State::Running { since: node.now() })
            }
            Err(why) => Err(not_started(node, &command, &why)),
        }
    }

    /// The image, if this node can have it.
    fn pull(&mut self, node: &Node) -> Result<Image, State> {
        let name = self.text("image");
        if !is_image_name(name) {
            let why = format!(
                "Failed to apply default image tag \"{name}\": couldn't parse image name \"{name}\": invalid \
                 reference format"
            );
            return Err(State::waiting("InvalidImageName", &why));
        }
        if let Some(image) = node.image(name) {
            return Ok(image);
        }
        if self.text("imagePullPolicy") == "Never" {
            let why = format!("Container image \"{name}\" is not present with pull policy of Never");
            return Err(State::waiting("ErrImageNeverPull", &why));
        }
        let why = format!(
            "failed to pull and unpack image \"{name}\": failed to resolve reference \"{name}\": {name}: not found"
        );
        let state = if self.refused {
            let why = format!("Back-off pulling image \"{name}\": ErrImagePull: {why}");
            State::waiting("ImagePullBackOff", &why)
        } else {
            State::waiting("ErrImagePull", &why)
        };
        self.refused = true;
        Err(state)
    }
}

/// What a process finds around it besides its own variables, which win.
fn surroundings(
    node: &Node,
    pod: &Value,
    image: &Image,
    root: &Path,
    variables: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), path.to_string_lossy().into_owned()),
        ("HOME".to_owned(), root.display().to_string()),
        ("HOSTNAME".to_owned(), name.to_owned()),
        ("SLUICE_TEST_ROOT".to_owned(), root.display().to_string()),
        ("KUBERNETES_API".to_owned(), node.api_url().to_owned()),
    ]);
    all.extend(image.env.clone());
    all.extend(variables);
    all
}

fn not_started(node: &Node, command: &[String], why: &std::io::Error) -> State {
    let program = command.first().map_or("", String::as_str);
    let why = match why.kind() {
        std::io::ErrorKind::NotFound if program.contains('/') => "no such file or directory".to_owned(),
        std::io::ErrorKind::NotFound => "executable file not found in $PATH".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => why.to_string(),
    };
    let message = format!(
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: \
         unable to start container process: error during container init: exec: \"{program}\": {why}"
    );
    // A container that never ran says that it did at the beginning of time.
    let since = "1970-01-01T00:00:00Z".to_owned();
    State::Terminated { since, at: node.now(), code: 128, reason: "StartError".to_owned(), message }
}
