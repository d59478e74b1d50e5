//! The overview of `status`: versions by node and mount. It fits into eighty columns, whatever the number of nodes and mounts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rollout::{
    CatalogEntry, Consumer, ConsumerObserved, DeploymentObserved, NodeName, NodeObserved, NodeRole, Observed,
    Pins, PluginDirectory, PluginStorage, Readiness, Version,
};
use vault_api::catalog::PluginType;

/// Width of a usual terminal.
const TERMINAL_WIDTH: usize = 80;
/// Separator before each column.
const COLUMN_GAP: &str = "  ";

/// Renders the overview.
pub(super) fn render_status(observed: &Observed) -> String {
    let mut text = render_header(observed);
    for plugin in external_plugins(observed) {
        text.push('\n');
        text.push_str(&render_plugin(observed, &plugin));
    }
    if let Some(deployment) = observed.deployment.as_ref().filter(|deployment| !is_local(deployment)) {
        text.push_str("\nNodes\n");
        text.push_str(&render_nodes(deployment));
    }
    let others = observed.consumers.values().filter(|mount| !is_external(observed, mount)).count();
    if others > 0 {
        let _ = writeln!(text, "\n{} of built-in engines", pluralize(others, "mount"));
    }
    text
}

fn render_header(observed: &Observed) -> String {
    let server = &observed.server;
    let state = match (server.initialized, server.sealed, server.has_active_node) {
        (false, _, _) => ", not initialized",
        (true, true, _) => ", sealed",
        (true, false, false) => ", no active node",
        (true, false, true) => "",
    };
    let mut rows =
        vec![("Server", format!("{} {} {}{state}", server.address, server.product, server.version))];
    rows.push((
        "Plugins",
        match &observed.plugin_directory {
            PluginDirectory::At(directory) => directory.display().to_string(),
            PluginDirectory::NotConfigured => "none: external plugins are disabled".to_owned(),
            PluginDirectory::NotVisible => match &observed.deployment {
                Some(deployment) => deployment.directory.display().to_string(),
                None => "not shown to this token".to_owned(),
            },
        },
    ));
    if let Some(deployment) = &observed.deployment {
        rows.push(("Restarts", describe_storage(deployment)));
        rows.extend(deployment.lock_holder.iter().map(|holder| ("Held", format!("by {}", holder.name))));
    }
    rows.extend(observed.caller.denied.iter().map(|path| ("Denied", path.clone())));
    let mut text = String::new();
    for (name, value) in rows {
        text.push_str(&wrap_words(&format!("{name:<9}"), 9, std::iter::once(value)));
    }
    text
}

fn describe_storage(deployment: &DeploymentObserved) -> String {
    match &deployment.plugin_storage {
        PluginStorage::LocalDirectory => "files stay on this machine".to_owned(),
        PluginStorage::PersistentVolume { description: what } => format!("files stay in {what}"),
        PluginStorage::InitContainer { name, image, files: brings } => match brings {
            Some(brings) => {
                format!("init container {name} copies {} from {image}", pluralize(brings.len(), "file"))
            }
            None => format!("init container {name} copies the files of {image}"),
        },
        PluginStorage::ImageVolume { image } => format!("files come from {image}"),
        PluginStorage::ContainerImage { description: what }
        | PluginStorage::Ephemeral { description: what } => format!("files are lost: {what}"),
        PluginStorage::Unknown { reason: why } => format!("unknown whether files stay: {why}"),
    }
}

/// External plugins: in the catalog, pinned, or mounted with a checksum.
fn external_plugins(observed: &Observed) -> BTreeSet<(PluginType, String)> {
    let registered = observed.catalog.iter().map(|entry| (entry.kind, entry.name.clone()));
    let mounted = observed.consumers.values().filter(|mount| !mount.running_sha256.is_empty());
    let mounted = mounted.map(|mount| (mount.kind, mount.plugin.clone()));
    let pins = match &observed.pins {
        Pins::Set(pins) => pins.as_slice(),
        Pins::Unsupported => &[],
    };
    let pinned = pins.iter().map(|pin| (pin.kind, pin.name.clone()));
    registered.chain(mounted).chain(pinned).collect()
}

fn is_external(observed: &Observed, mount: &ConsumerObserved) -> bool {
    !mount.running_sha256.is_empty()
        || observed.catalog.iter().any(|entry| entry.kind == mount.kind && entry.name == mount.plugin)
}

fn render_plugin(observed: &Observed, (kind, name): &(PluginType, String)) -> String {
    let mut text = format!("{name} ({kind})");
    if let Some(version) = observed.pinned_version(*kind, name) {
        let _ = write!(text, ", pinned to {version}");
    }
    text.push('\n');
    let mounts: Vec<(&Consumer, &ConsumerObserved)> =
        observed.consumers.iter().filter(|(_, mount)| mount.kind == *kind && mount.plugin == *name).collect();
    let rows: Vec<Vec<String>> = known_versions(observed, *kind, name, &mounts)
        .iter()
        .rev()
        .map(|version| version_row(observed, *kind, name, version, &mounts))
        .collect();
    text.push_str(&render_table(
        &["VERSION", "SHA256", "CATALOG", "ON DISK", "CONFIGURED", "RUNNING", "RESTART"],
        &rows,
    ));
    text.push_str(&render_mount_groups(observed, &mounts));
    text
}

/// All versions of a plugin that are known from any source, oldest first.
fn known_versions(
    observed: &Observed,
    kind: PluginType,
    name: &str,
    mounts: &[(&Consumer, &ConsumerObserved)],
) -> Vec<String> {
    let entries = observed.catalog.iter().filter(|entry| entry.kind == kind && entry.name == name);
    let mut all: BTreeSet<String> = entries.map(|entry| entry.version.clone()).collect();
    for (_, mount) in mounts {
        all.extend([observed.configured_version(mount).to_owned(), mount.running_version.clone()]);
    }
    let files = observed
        .deployment
        .iter()
        .flat_map(|deployment| deployment.nodes.values())
        .flat_map(|node| &node.files);
    let bare =
        files.filter_map(|file| file.name.strip_prefix(name)?.strip_prefix('-')?.parse::<Version>().ok());
    all.extend(bare.map(|version| version.v_prefixed()));
    let mut all: Vec<String> = all.into_iter().collect();
    all.sort_by_key(|version| version.parse::<Version>().ok());
    all
}

fn version_row(
    observed: &Observed,
    kind: PluginType,
    name: &str,
    version: &str,
    mounts: &[(&Consumer, &ConsumerObserved)],
) -> Vec<String> {
    let entry = observed.catalog_entry(kind, name, version);
    let file = entry.map_or_else(
        || format!("{name}-{}", version.strip_prefix('v').unwrap_or(version)),
        CatalogEntry::file_name,
    );
    let of = |expected: &dyn Fn(&ConsumerObserved) -> bool| {
        let number = mounts.iter().filter(|(_, mount)| expected(mount)).count();
        if number == 0 { String::new() } else { pluralize(number, "mount") }
    };
    vec![
        if version.is_empty() { "none".to_owned() } else { version.to_owned() },
        short_sha256(observed, entry, &file),
        if entry.is_some() { "yes".to_owned() } else { String::new() },
        on_disk_cell(observed, entry, &file),
        of(&|mount| observed.configured_version(mount) == version),
        of(&|mount| mount.running_version == version && mount.may_answer()),
        restart_cell(observed, entry, &file),
    ]
}

/// The checksum in the catalog, or else that of the file; twelve characters suffice to compare them.
fn short_sha256(observed: &Observed, entry: Option<&CatalogEntry>, file: &str) -> String {
    let registered = entry.map(|entry| entry.sha256.clone()).filter(|sha256| !sha256.is_empty());
    let files = observed
        .deployment
        .iter()
        .flat_map(|deployment| deployment.nodes.values())
        .flat_map(|node| &node.files);
    let present = files.filter(|present| present.name == file).map(|present| present.sha256.clone()).next();
    registered.or(present).unwrap_or_default().chars().take(12).collect()
}

/// Number of nodes whose file matches the catalog, and of nodes whose file differs.
fn count_nodes_with_file(
    deployment: &DeploymentObserved,
    entry: Option<&CatalogEntry>,
    file: &str,
) -> (usize, usize) {
    let expected = entry.map(|entry| entry.sha256.as_str()).filter(|sha256| !sha256.is_empty());
    let has = |node: &&NodeObserved, same: bool| {
        let mut files = node.files.iter().filter(|present| present.name == file);
        files.any(|present| expected.is_none_or(|expected| expected == present.sha256) == same)
    };
    let count = |same| deployment.nodes.values().filter(|node| has(node, same)).count();
    (count(true), count(false))
}

/// Number of nodes whose file matches the catalog.
fn on_disk_cell(observed: &Observed, entry: Option<&CatalogEntry>, file: &str) -> String {
    let Some(deployment) = &observed.deployment else { return "?".to_owned() };
    match count_nodes_with_file(deployment, entry, file) {
        (0, 0) => String::new(),
        (right, 0) if is_local(deployment) && right == 1 => "yes".to_owned(),
        (right, 0) => format!("{right} of {}", deployment.nodes.len()),
        (_, wrong) => format!("{wrong} WRONG"),
    }
}

/// What a restart does to the version.
fn restart_cell(observed: &Observed, entry: Option<&CatalogEntry>, file: &str) -> String {
    let Some(deployment) = &observed.deployment else { return "?".to_owned() };
    if count_nodes_with_file(deployment, entry, file).1 > 0 {
        return "BREAKS".to_owned();
    }
    let is_there =
        deployment.nodes.values().any(|node| node.files.iter().any(|present| present.name == file));
    let kept = match &deployment.plugin_storage {
        PluginStorage::LocalDirectory
        | PluginStorage::PersistentVolume { .. }
        | PluginStorage::ImageVolume { .. } => is_there,
        PluginStorage::InitContainer { files: Some(brings), .. } => brings.contains(file),
        PluginStorage::InitContainer { files: None, .. } | PluginStorage::Unknown { .. } => {
            return if is_there { "?".to_owned() } else { String::new() };
        }
        PluginStorage::ContainerImage { .. } | PluginStorage::Ephemeral { .. } => false,
    };
    match (is_there, kept) {
        (_, true) => "kept".to_owned(),
        (true, false) => "LOST".to_owned(),
        (false, false) => String::new(),
    }
}

/// Mounts grouped by configured and running version; deviations come first.
fn render_mount_groups(observed: &Observed, mounts: &[(&Consumer, &ConsumerObserved)]) -> String {
    let mut groups: BTreeMap<(bool, bool, &str, &str), Vec<String>> = BTreeMap::new();
    for (path, mount) in mounts {
        let (configured, runs) = (observed.configured_version(mount), mount.running_version.as_str());
        groups
            .entry((mount.may_answer(), configured == runs, configured, runs))
            .or_default()
            .push(show_path(path));
    }
    let mut text = String::new();
    for ((responds, same, configured, runs), paths) in groups {
        let title = match (responds, same, configured, runs) {
            (false, ..) => format!("NOT RESPONDING, configured {}", or_none(configured)),
            (true, true, _, "") => "without a version".to_owned(),
            (true, true, _, runs) => runs.to_owned(),
            (true, false, configured, "") => format!("NOT RUNNING, configured {}", or_none(configured)),
            (true, false, configured, runs) => format!("RUNNING {runs}, configured {}", or_none(configured)),
        };
        text.push_str(&wrap_words(&format!("  {title}: "), 4, paths.into_iter()));
    }
    text
}

/// The path in its namespace, because the API path alone does not show where that ends.
fn show_path(path: &Consumer) -> String {
    match path.namespace() {
        "" => path.to_string(),
        namespace => format!("{} (namespace {})", path.local_path(), namespace.trim_end_matches('/')),
    }
}

fn or_none(version: &str) -> &str {
    if version.is_empty() { "none" } else { version }
}

fn render_nodes(deployment: &DeploymentObserved) -> String {
    let rows: Vec<Vec<String>> = deployment.nodes.iter().map(|(name, node)| node_row(name, node)).collect();
    render_table(&["NODE", "ROLE", "SERVER", "FREE", "FILES", "RUNS"], &rows)
}

fn node_row(name: &NodeName, node: &NodeObserved) -> Vec<String> {
    if let Readiness::NotReady { reason: why } = &node.readiness {
        return vec![name.to_string(), format!("NOT READY: {why}")];
    }
    let (role, server) = match &node.server {
        None => (String::new(), String::new()),
        Some(vault) if vault.sealed => ("SEALED".to_owned(), vault.version.clone()),
        Some(vault) => {
            let role = match vault.role {
                NodeRole::Active => "active",
                NodeRole::Standby => "standby",
            };
            (role.to_owned(), vault.version.clone())
        }
    };
    let free = node.free_bytes.map(|bytes| indicatif::HumanBytes(bytes).to_string()).unwrap_or_default();
    let files: BTreeSet<&str> = node.processes.iter().map(|process| process.file.as_str()).collect();
    let runs: Vec<&str> = files.into_iter().collect();
    vec![name.to_string(), role, server, free, node.files.len().to_string(), runs.join(" ")]
}

fn is_local(deployment: &DeploymentObserved) -> bool {
    deployment.nodes.keys().all(NodeName::is_local)
}

fn pluralize(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Renders aligned columns. The first column is narrowed if all are too wide. A row may be shorter than the headings; its last cell is not
/// limited.
fn render_table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let width = |column: usize| {
        let whole = rows.iter().filter(|row| row.len() == heads.len()).chain([&heads]);
        let first = rows.iter().filter(|_| column == 0);
        let cells = whole.chain(first).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let mut widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let over =
        (widths.iter().sum::<usize>() + COLUMN_GAP.len() * widths.len()).saturating_sub(TERMINAL_WIDTH);
    // Names are truncated, because the cells after them are short and are what the table is for.
    widths[0] = widths[0].saturating_sub(over).max(heads[0].chars().count());
    let lines = std::iter::once(&heads).chain(rows).map(|row| {
        let last = row.len() - 1;
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            let cell = if cell.is_empty() { "-" } else { cell };
            let cell = if column < last { truncate(cell, width) } else { cell.to_owned() };
            format!("{COLUMN_GAP}{cell:width$}")
        });
        let line: String = cells.collect();
        truncate(line.trim_end(), TERMINAL_WIDTH) + "\n"
    });
    lines.collect()
}

/// A text that is too long ends with an ellipsis.
fn truncate(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Words wrapped to the width, with indented continuation lines.
fn wrap_words(start: &str, indent: usize, words: impl Iterator<Item = String>) -> String {
    let mut text = start.to_owned();
    let mut at = start.chars().count();
    let mut first = true;
    for word in words {
        let length = word.chars().count();
        if !first && at + 1 + length > TERMINAL_WIDTH {
            let _ = write!(text, "\n{:indent$}", "");
            at = indent;
        } else if !first {
            text.push(' ');
            at += 1;
        }
        text.push_str(&word);
        at += length;
        first = false;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
