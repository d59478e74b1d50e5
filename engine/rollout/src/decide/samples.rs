//! A world and a goal to vary in tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use vault_api::Secret;
use vault_api::catalog::PluginType;
use vault_api::health::Product;

use crate::binary::{Binary, Elf, Format, Linkage, Machine, Probe, Probed};
use crate::compare::Comparison;
use crate::goal::{Downgrade, Goal, MountGoal, Plugin, Register, Rewrite, Wanted, WriteGoal};
use crate::observed::site::{NodeObserved, PluginFile, Presence, SiteObserved, SiteState};
use crate::observed::{
    Caller, CatalogEntry, MountObserved, Observed, Pins, PluginDirectory, ReadBack, Server, ThisRun,
    WriteObserved,
};

pub(crate) const SHA: &str = "aa";

/// A server that has never seen the plugin.
pub(crate) fn bare_server() -> Observed {
    Observed {
        server: Server {
            address: "https://127.0.0.1:8200".into(),
            product: Product::Vault,
            version: "1.21.4".into(),
            initialized: true,
            sealed: false,
            standby: false,
            has_active_node: true,
        },
        caller: Caller::default(),
        plugin_directory: PluginDirectory::At("/vault/plugins".into()),
        site: Some(SiteObserved::local(Path::new("/vault/plugins"), empty_node())),
        catalog: Vec::new(),
        pins: Pins::Set(Vec::new()),
        mounts: BTreeMap::new(),
        writes: vec![WriteObserved {
            path: "custom/config".into(),
            read_back: ReadBack::NotTried,
            fields: BTreeMap::from([
                ("api_endpoint".into(), Comparison::CannotBeRead),
                ("api_key".into(), Comparison::CannotBeRead),
            ]),
        }],
        this_run: ThisRun::default(),
    }
}

/// A node on which nothing was placed.
pub(crate) fn empty_node() -> NodeObserved {
    NodeObserved {
        presence: Presence::Ready,
        directory: SiteState::Usable,
        machine: Machine::X86_64,
        free_bytes: Some(1 << 30),
        interpreter_present: true,
        files: Vec::new(),
        processes: Vec::new(),
        vault: None,
    }
}

/// A server where `version` is in place, registered, mounted at `custom/` and configured.
pub(crate) fn server_with(version: &str, sha256: &str) -> Observed {
    let mut observed = bare_server();
    let tagged = format!("v{version}");
    let name = format!("custom-{version}");
    for node in observed.site.iter_mut().flat_map(|site| site.nodes.values_mut()) {
        node.files.push(PluginFile { name: name.clone(), sha256: sha256.into(), mode: 0o755 });
    }
    observed.catalog.push(CatalogEntry {
        kind: PluginType::Secret,
        name: "custom".into(),
        version: tagged.clone(),
        sha256: sha256.into(),
        command: Some(name),
        args: Some(Vec::new()),
    });
    let mount = MountObserved {
        plugin: "custom".into(),
        configured_version: tagged.clone(),
        running_version: tagged,
        running_sha256: sha256.into(),
        ..MountObserved::default()
    };
    observed.mounts.insert("custom/".into(), mount);
    for write in &mut observed.writes {
        write.read_back = ReadBack::Present;
        write.fields.values_mut().for_each(|field| *field = Comparison::Equal);
    }
    observed
}

/// `custom` 1.2.3 at `custom/`, configured.
pub(crate) fn register() -> Register {
    let data = BTreeMap::from([
        ("api_endpoint".into(), Wanted::Plain(json!("https://api.example.com"))),
        ("api_key".into(), Wanted::Secret(Secret::new("hunter2"))),
    ]);
    Register {
        plugin: Plugin {
            kind: PluginType::Secret,
            name: "custom".into(),
            version: "1.2.3".parse().expect("a version"),
            args: Vec::new(),
            env: Vec::new(),
            binary: Binary {
                path: PathBuf::from("./custom"),
                size: 1000,
                sha256: SHA.into(),
                executable: true,
                format: Format::Elf(Elf { machine: Machine::X86_64, linkage: Linkage::Static }),
            },
            probed: Probed::Ran(Probe {
                version: Some("v1.2.3".into()),
                kind: Some(PluginType::Secret),
                protocol: 5,
                multiplexing: true,
            }),
        },
        mounts: vec![MountGoal {
            path: "custom".parse().expect("a path"),
            writes: vec![WriteGoal { path: "config".into(), data }],
            smoke: None,
        }],
        downgrade: Downgrade::Refuse,
        rewrite: Rewrite::Never,
    }
}

pub(crate) fn goal(register: Register) -> Goal {
    Goal::Register(Box::new(register))
}
