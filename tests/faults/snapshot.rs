//! The state that a command may change, and how each step changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::lab::{Lab, MOUNTS, NAME, OLD, REPLICAS, next_version, zero_version};

/// The state of the servers and their files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Mounts of the plugin and canary mounts, by path.
    mounts: BTreeMap<String, Versions>,
    /// Name and version of each external plugin.
    catalog: BTreeSet<String>,
    pinned: Option<String>,
    /// Pod and name of each file, and which build it is.
    files: BTreeMap<(String, String), BinaryBuild>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Versions {
    told: String,
    running: String,
}

/// The build whose content a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BinaryBuild {
    Zeroed,
    Old,
    New,
    Other,
}

impl Snapshot {
    pub(crate) async fn take(lab: &Lab) -> Snapshot {
        let mut snapshot = Snapshot { pinned: lab.pinned().await, ..Snapshot::default() };
        let mounts = lab.get("sys/mounts").await;
        for (path, mount) in mounts["data"].as_object().unwrap() {
            let is_of_us = mount["type"].as_str().is_some_and(|name| name.starts_with(NAME));
            if is_of_us || path.contains("canary") {
                let text = |field: &str| mount[field].as_str().unwrap_or_default().to_owned();
                let versions =
                    Versions { told: text("plugin_version"), running: text("running_plugin_version") };
                snapshot.mounts.insert(path.clone(), versions);
            }
        }
        let catalog = lab.get("sys/plugins/catalog").await;
        for entry in catalog["data"]["detailed"].as_array().unwrap() {
            if entry["builtin"] == false {
                let text = |field: &str| entry[field].as_str().unwrap_or_default();
                snapshot.catalog.insert(format!("{} {}", text("name"), text("version")));
            }
        }
        for pod in lab.pods.names() {
            for file in fs::read_dir(lab.pods.plugin_directory(pod).await).unwrap() {
                let file = file.unwrap();
                let name = file.file_name().into_string().unwrap();
                // A copy that outlives its killed command may rename or remove it meanwhile.
                let content = fs::read(file.path()).unwrap_or_default();
                snapshot.files.insert((pod.to_owned(), name), BinaryBuild::of(lab, &content));
            }
        }
        snapshot
    }

    /// The state after a step of a plan.
    pub(crate) fn apply(&mut self, step: &Value) {
        let text =
            |field: &str| step[field].as_str().unwrap_or_else(|| panic!("{field} of {step}")).to_owned();
        let tagged = |field: &str| format!("v{}", text(field).trim_start_matches('v'));
        let texts = |field: &str| {
            let values = step[field].as_array().unwrap_or_else(|| panic!("{field} of {step}"));
            values.iter().map(|value| value.as_str().unwrap().to_owned()).collect::<Vec<String>>()
        };
        match step["step"].as_str().unwrap() {
            "copy_binary" => {
                for node in texts("nodes") {
                    self.add_file(&node, &text("file"));
                }
            }
            "register_version" => {
                self.catalog.insert(format!("{} {}", text("name"), tagged("version")));
            }
            "deregister_version" => {
                self.catalog.remove(&format!("{} {}", text("name"), tagged("version")));
            }
            "remove_binary" => {
                for node in texts("nodes") {
                    self.files.remove(&(node, text("file")));
                }
            }
            "mount_canary" => {
                let versions = Versions { told: tagged("version"), running: tagged("version") };
                self.mounts.insert(text("path"), versions);
            }
            "remove_canary" => {
                self.mounts.remove(&text("path"));
            }
            // A mount that was deleted meanwhile is skipped.
            "tune_mount" => {
                if let Some(mount) = self.mounts.get_mut(&text("path")) {
                    mount.told = tagged("to");
                }
            }
            "reload_mount" => {
                if let Some(mount) = self.mounts.get_mut(&text("path")) {
                    mount.running.clone_from(&mount.told);
                }
            }
            "verify_canary" | "smoke_test_mount" | "restart_node" => {}
            other => panic!("snapshot.rs does not know the step {other}"),
        }
    }

    /// The file of a version on a node that has got it in the meantime.
    pub(crate) fn add_file(&mut self, node: &str, file: &str) {
        let build = match file.strip_prefix(&format!("{NAME}-")) {
            Some(version) if version == OLD => BinaryBuild::Old,
            Some(version) if version == next_version() => BinaryBuild::New,
            Some(version) if version == zero_version() => BinaryBuild::Zeroed,
            _ => BinaryBuild::Other,
        };
        self.files.insert((node.to_owned(), file.to_owned()), build);
    }

    pub(crate) fn pin(&mut self, version: &str) {
        self.pinned = Some(format!("v{version}"));
    }

    pub(crate) fn unmount(&mut self, path: &str) {
        self.mounts.remove(&format!("{path}/"));
    }

    /// The expected state: the mounts run `version`, and every pod has exactly these versions. An added pod has only the
    /// running one. A pin overrides the mounts' own setting.
    pub(crate) fn goal(&self, lab: &Lab, version: &str, versions: &[String]) -> Snapshot {
        let mut goal = Snapshot::default();
        let tagged = format!("v{version}");
        goal.pinned = self.pinned.as_ref().map(|_| tagged.clone());
        for mount in MOUNTS {
            let path = format!("{mount}/");
            let told = match (&self.pinned, self.mounts.get(&path)) {
                (Some(_), Some(mount)) => mount.told.clone(),
                _ => tagged.clone(),
            };
            goal.mounts.insert(path, Versions { told, running: tagged.clone() });
        }
        goal.catalog = versions.iter().map(|version| format!("{NAME} v{version}")).collect();
        for (number, pod) in lab.pods.names().into_iter().enumerate() {
            let is_added = number >= REPLICAS;
            for has in versions.iter().filter(|has| !is_added || *has == version) {
                goal.add_file(pod, &format!("{NAME}-{has}"));
            }
        }
        goal
    }

    /// Canary mounts, and mounts whose version changes at the next start.
    pub(crate) fn between_versions(&self) -> Vec<&str> {
        let is_between = |(path, versions): &(&String, &Versions)| {
            path.contains("canary") || versions.told != versions.running && self.pinned.is_none()
        };
        self.mounts.iter().filter(is_between).map(|(path, _)| path.as_str()).collect()
    }

    /// The same state without files, for a copy that was cut off.
    pub(crate) fn without_files(&self) -> Snapshot {
        Snapshot { files: BTreeMap::new(), ..self.clone() }
    }

    /// The differences between `self` and `other`, one sentence each.
    pub(crate) fn differs_from(&self, other: &Snapshot) -> Vec<Difference> {
        let mut found = Vec::new();
        for path in self.mounts.keys().chain(other.mounts.keys()).collect::<BTreeSet<_>>() {
            let (here, there) = (self.mounts.get(path), other.mounts.get(path));
            if here != there {
                found.push(Difference::new(
                    vec![path.clone()],
                    format!("{path}: {here:?} instead of {there:?}"),
                ));
            }
        }
        for entry in self.catalog.symmetric_difference(&other.catalog) {
            let is = if self.catalog.contains(entry) { "is" } else { "is not" };
            let version = entry.rsplit(' ').next().unwrap_or_default().trim_start_matches('v').to_owned();
            found.push(Difference::new(vec![version], format!("{entry} {is} in the catalog")));
        }
        if self.pinned != other.pinned {
            let said = format!("pinned to {:?} instead of {:?}", self.pinned, other.pinned);
            found.push(Difference::new(vec![NAME.to_owned()], said));
        }
        for key in self.files.keys().chain(other.files.keys()).collect::<BTreeSet<_>>() {
            let (here, there) = (self.files.get(key), other.files.get(key));
            if here != there {
                let version = key.1.trim_start_matches(&format!("{NAME}-")).to_owned();
                let said = format!("{} in {}: {here:?} instead of {there:?}", key.1, key.0);
                found.push(Difference::new(vec![version, key.1.clone()], said));
            }
        }
        found
    }
}

/// One difference between two snapshots.
#[derive(Debug)]
pub(crate) struct Difference {
    /// A message that contains one of these words mentions it.
    words: Vec<String>,
    pub(crate) said: String,
}

impl Difference {
    fn new(words: Vec<String>, said: String) -> Difference {
        Difference { words, said }
    }

    pub(crate) fn is_named_in(&self, text: &str) -> bool {
        self.words.iter().any(|word| text.contains(word.as_str()))
    }
}

impl BinaryBuild {
    fn of(lab: &Lab, content: &[u8]) -> BinaryBuild {
        let builds = [
            (&lab.content_zeroed, BinaryBuild::Zeroed),
            (&lab.content_old, BinaryBuild::Old),
            (&lab.content_new, BinaryBuild::New),
        ];
        builds
            .into_iter()
            .find(|(known, _)| known.as_slice() == content)
            .map_or(BinaryBuild::Other, |(_, build)| build)
    }
}
