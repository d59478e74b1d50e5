//! A generated file and its text.

use serde::Serialize;
use serde_json::Value;

use super::part::Part;
use crate::error::CommandError;

/// A file.
#[derive(Debug, Serialize)]
pub struct ManifestFile {
    /// The part that it belongs to.
    pub(crate) part: Part,
    /// Its name.
    pub(crate) file: String,
    /// What it is and who applies it, in one or two sentences.
    pub(crate) about: &'static str,
    /// Its content.
    #[serde(flatten)]
    pub(crate) content: FileContent,
}

/// Content of a file, by its consumer.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub(crate) enum FileContent {
    /// Objects of a cluster.
    Objects(Vec<Value>),
    /// A patch of an existing object.
    Patch(Value),
    /// Settings in YAML for another program.
    Settings(Value),
    /// JSON data for the server.
    Data(Value),
    /// HCL for the server.
    Hcl(String),
}

/// Width of comments.
const COMMENT_WIDTH: usize = 110;

impl ManifestFile {
    /// The text of the file.
    ///
    /// # Errors
    /// Never for values that this program makes.
    pub(crate) fn text(&self) -> Result<String, CommandError> {
        let about = to_comment(self.about);
        Ok(match &self.content {
            FileContent::Objects(objects) => about + &to_yaml_stream(objects)?,
            FileContent::Patch(value) | FileContent::Settings(value) => about + &to_yaml(value)?,
            // JSON has no comments.
            FileContent::Data(value) => to_json(value)?,
            FileContent::Hcl(text) => about + text,
        })
    }

    /// The same as a document of a stream for `kubectl`: content other than objects becomes a comment.
    ///
    /// # Errors
    /// Never for values that this program makes.
    pub(crate) fn as_stream_document(&self) -> Result<String, CommandError> {
        let text = self.text()?;
        Ok(match &self.content {
            FileContent::Objects(_) | FileContent::Patch(_) => format!("---\n# {}\n{text}", self.file),
            FileContent::Settings(_) | FileContent::Data(_) | FileContent::Hcl(_) => {
                let lines = text.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n");
                format!("---\n# {}\n{}", self.file, lines.collect::<String>())
            }
        })
    }

    /// The object or patch for the cluster.
    pub(crate) fn objects(&self) -> &[Value] {
        match &self.content {
            FileContent::Objects(objects) => objects,
            FileContent::Patch(patch) => std::slice::from_ref(patch),
            FileContent::Settings(_) | FileContent::Data(_) | FileContent::Hcl(_) => &[],
        }
    }
}

/// Renders a value as YAML.
///
/// # Errors
/// Never for values that this program makes.
pub(crate) fn to_yaml(value: &Value) -> Result<String, CommandError> {
    yaml::to_string(value).map_err(|error| CommandError::failed("could not write YAML").caused_by(error))
}

/// Converts an object of a cluster; fields that are not set are left out.
///
/// # Errors
/// Never for values that this program makes.
pub(crate) fn to_value(object: &impl Serialize) -> Result<Value, CommandError> {
    serde_json::to_value(object)
        .map_err(|error| CommandError::failed("could not make a manifest").caused_by(error))
}

fn to_json(value: &Value) -> Result<String, CommandError> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => Ok(text + "\n"),
        Err(error) => Err(CommandError::failed("could not write JSON").caused_by(error)),
    }
}

fn to_yaml_stream(objects: &[Value]) -> Result<String, CommandError> {
    let texts = objects.iter().map(to_yaml).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.join("---\n"))
}

fn to_comment(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < COMMENT_WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!(" {word}")),
        }
    }
    lines.iter().map(|line| format!("#{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(content: FileContent, expected: &str) {
        let document =
            ManifestFile { part: Part::Config, file: "x.yaml".into(), about: "What it is.", content };
        assert_eq!(document.as_stream_document().expect("text"), expected);
    }

    #[test]
    fn only_objects_are_for_the_cluster_in_a_stream() {
        check(FileContent::Objects(vec![json!({"a": "1"})]), "---\n# x.yaml\n# What it is.\na: \"1\"\n");
        check(FileContent::Hcl("a = \"1\"\n".into()), "---\n# x.yaml\n# # What it is.\n# a = \"1\"\n");
        check(FileContent::Data(json!({"a": 1})), "---\n# x.yaml\n# {\n#   \"a\": 1\n# }\n");
    }
}
