//! `sluice graph`: what is known, as DOT, Mermaid or JSON.

use sluice_domain::picture::Picture;

/// A language for pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Graphviz.
    Dot,
    /// A Mermaid flowchart.
    Mermaid,
    /// JSON: workspaces with their last decisions, and edges.
    Json,
}

impl Format {
    /// The format of a file name's extension.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "dot" => Some(Self::Dot),
            "mmd" => Some(Self::Mermaid),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Dot => "text/vnd.graphviz; charset=utf-8",
            Self::Mermaid => "text/plain; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    /// `picture` in this format.
    #[must_use]
    pub fn write(self, picture: &Picture) -> String {
        match self {
            Self::Dot => picture.dot(),
            Self::Mermaid => picture.mermaid(),
            Self::Json => {
                let json = serde_json::to_string_pretty(picture).expect("a picture is plain data");
                json + "\n"
            }
        }
    }
}
