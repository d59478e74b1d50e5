//! What is packed: every binary looked at, started where it can be, and refused where it would not run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use deployment::Sha256Sums;
use oci_image::{ImageName, Platform};
use rollout::{
    Architecture, Binary, Format, Linkage, ProbeOutcome, Refusal, Version, parse_plugin_file_name,
};
use vault_api::SecretString;

use super::PackageArgs;
use crate::commands::mount_data;
use crate::commands::probe::{probe, untrusted_launch};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// A plugin of one version for one platform.
pub(super) struct PackageInput {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) platform: Platform,
    pub(super) binary: Binary,
    /// Whether it was started, which one for another machine cannot be.
    pub(super) started: bool,
}

/// All that is packed.
pub(super) struct PackageInputs {
    /// By platform, name and version.
    inputs: Vec<PackageInput>,
    loaders: Vec<(Platform, Binary)>,
}

/// What makes a static build, for those who have a dynamic one.
const BUILD_STATIC: &str = "Build it static. Go: CGO_ENABLED=0 go build. Rust: RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --target x86_64-unknown-linux-gnu, or package --build.";

impl PackageInputs {
    /// `built` comes first of the binaries. With `is_image`, loaders are found, too.
    pub(super) async fn load(
        args: &PackageArgs,
        built: Option<PathBuf>,
        is_image: bool,
        context: &Context,
        ui: &mut Ui,
    ) -> Result<Self, CommandError> {
        let env = mount_data::parse_env(BTreeMap::new(), &args.launch.env)?;
        let mut inputs = Vec::new();
        for path in built.iter().chain(&args.binaries) {
            inputs.push(load_input(path, args, &env, context, ui).await?);
        }
        inputs.sort_by(|a, b| (&a.platform, &a.name, &a.version).cmp(&(&b.platform, &b.name, &b.version)));
        let mut checked = Self { inputs, loaders: Vec::new() };
        checked.check_complete(&args.platform)?;
        if is_image {
            let own = built.filter(|path| path.file_name().is_some_and(|name| name == super::LOADER_FILE));
            checked.loaders = load_loaders(&checked.platforms(), &args.loader, own, ui)?;
        }
        Ok(checked)
    }

    /// In order, each once.
    pub(super) fn platforms(&self) -> Vec<Platform> {
        self.inputs.iter().map(|input| input.platform.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn all(&self) -> &[PackageInput] {
        &self.inputs
    }

    pub(super) fn for_platform(&self, platform: &Platform) -> impl Iterator<Item = &PackageInput> {
        self.inputs.iter().filter(move |input| input.platform == *platform)
    }

    /// The file of the only version of the only plugin, on whichever platform.
    pub(super) fn only_file(&self) -> Option<String> {
        let files: BTreeSet<String> = self.inputs.iter().map(PackageInput::file).collect();
        files.first().filter(|_| files.len() == 1).cloned()
    }

    pub(super) fn loader(&self, platform: &Platform) -> Option<&Binary> {
        self.loaders.iter().find(|(of, _)| of == platform).map(|(_, loader)| loader)
    }

    /// Of the first plugin: it gives the image its name.
    pub(super) fn name(&self) -> &str {
        self.inputs.first().map_or("", |input| &input.name)
    }

    /// Name and tag, as far as nothing else is said. A tag has no `+`.
    pub(super) fn image_name(&self, tag: Option<&str>) -> ImageName {
        let highest = self.inputs.iter().map(|input| &input.version).max();
        let tag =
            tag.map(str::to_owned).or_else(|| highest.map(|version| version.to_string().replace('+', "_")));
        ImageName { repository: self.name().to_lowercase(), tag: tag.unwrap_or_default() }
    }

    /// Of the binaries, as they are called on a node; in a folder for each architecture if there are several.
    pub(super) fn sums(&self) -> Sha256Sums {
        let several = self.platforms().len() > 1;
        let file = |input: &PackageInput| match several {
            true => format!("{}/{}", input.platform.architecture, input.file()),
            false => input.file(),
        };
        self.inputs.iter().map(|input| (file(input), input.binary.sha256.clone())).collect()
    }

    /// No version twice, and each for every platform: a pod would miss it only on some nodes.
    fn check_complete(&self, wanted: &[Platform]) -> Result<(), CommandError> {
        for pair in self.inputs.windows(2) {
            let [one, other] = pair else { continue };
            if (&one.platform, one.file()) == (&other.platform, other.file()) {
                let (one, other) = (one.binary.path.display(), other.binary.path.display());
                return Err(CommandError::usage(format!(
                    "{one} and {other} are the same version of the same plugin"
                ))
                .hint("Name one of them, or give one of them another version."));
            }
        }
        let files: BTreeSet<String> = self.inputs.iter().map(PackageInput::file).collect();
        let platforms: BTreeSet<Platform> =
            self.platforms().into_iter().chain(wanted.iter().cloned()).collect();
        for platform in &platforms {
            let there: BTreeSet<String> = self.for_platform(platform).map(PackageInput::file).collect();
            if let Some(missing) = files.difference(&there).next() {
                return Err(CommandError::usage(format!("there is no {missing} for {platform}"))
                    .hint("Name a binary of every version for every platform."));
            }
        }
        Ok(())
    }
}

impl PackageInput {
    /// What it is called in the image and on nodes.
    pub(super) fn file(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

async fn load_input(
    path: &Path,
    args: &PackageArgs,
    env: &[SecretString],
    context: &Context,
    ui: &mut Ui,
) -> Result<PackageInput, CommandError> {
    let binary = read_binary(path, ui)?;
    let platform = image_platform(&binary)?;
    let native = Architecture::host();
    let started = platform == Platform::linux(&native.to_string());
    let is_wanted = if args.platform.is_empty() { started } else { args.platform.contains(&platform) };
    if !is_wanted {
        let path = binary.path.display();
        return Err(CommandError::failed(format!(
            "{path} is built for {platform}, for which no image is made"
        ))
        .hint(format!("Make one for it, too, with --platform {platform}, or leave the file out.")));
    }
    let file = binary.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let named = parse_plugin_file_name(&file);
    let name = match (&args.name, &named) {
        (Some(name), _) => name.clone(),
        (None, Some((name, _))) => (*name).to_owned(),
        (None, None) => file.clone(),
    };
    check_name(&name)?;
    let named = named.map(|(_, version)| version);
    let version = if started {
        // It is started from where it lies, and a program without the permission cannot be.
        binary.check_runs_on(native)?;
        input_version(
            &binary,
            named,
            probe(untrusted_launch(&binary.path, &args.launch.args, env, context, ui)).await,
        )?
    } else {
        ui.warn(&format!(
            "{} is built for {platform} and was not started here: that it is a plugin, and which version, is as its name says",
            binary.path.display()
        ));
        named.ok_or_else(|| unknown_version_error(&binary, "it cannot be started here"))?
    };
    Ok(PackageInput { name, version, platform, binary, started })
}

/// What it says itself, which must be what its name says.
fn input_version(
    binary: &Binary,
    named: Option<Version>,
    probed: ProbeOutcome,
) -> Result<Version, CommandError> {
    let path = binary.path.clone();
    let reported = match probed {
        ProbeOutcome::Ran(probe) => probe.version,
        ProbeOutcome::Failed { output } | ProbeOutcome::NotRun { reason: output } => {
            return Err(Refusal::ProbeFailed { path, output }.into());
        }
    };
    match (reported, named) {
        (None, Some(named)) => Ok(named),
        (None, None) => Err(unknown_version_error(binary, "it reports none")),
        (Some(reported), named) => match (reported.parse::<Version>(), named) {
            (Ok(reported), None) => Ok(reported),
            (Ok(reported), Some(named)) if reported == named => Ok(named),
            (Ok(_), Some(wanted)) => Err(CommandError::failed(format!(
                "{} reports version {reported} and its name says {wanted}",
                path.display()
            ))
            .hint("Rename it, or take the right binary: a server refuses a version that a plugin does not report.")),
            (Err(error), _) => {
                Err(CommandError::failed(format!("{} reports a version that no server takes", path.display()))
                    .caused_by(error))
            }
        },
    }
}

fn unknown_version_error(binary: &Binary, why: &str) -> CommandError {
    CommandError::usage(format!("the version of {} is not known: {why}", binary.path.display()))
        .hint("Name the file <name>-<version>, such as custom-plugin-1.2.3.")
}

/// What an image that holds nothing else has to be to run it.
fn image_platform(binary: &Binary) -> Result<Platform, CommandError> {
    let path = binary.path.clone();
    let Format::Elf(elf) = &binary.format else { return Err(Refusal::NotExecutable { path }.into()) };
    if let Linkage::Dynamic { interpreter } = &elf.linkage {
        return Err(CommandError::failed(format!(
            "{} needs the dynamic linker {}, which the image does not have",
            path.display(),
            interpreter.display()
        ))
        .hint(BUILD_STATIC));
    }
    match elf.architecture {
        Architecture::Other(_) => Err(CommandError::failed(format!(
            "{} is built for {}, for which no image can be made",
            path.display(),
            elf.architecture
        ))
        .hint("Images are made for linux/amd64, linux/arm64, linux/arm and linux/386.")),
        machine => Ok(Platform::linux(&machine.to_string())),
    }
}

/// One loader for each platform.
fn load_loaders(
    platforms: &[Platform],
    named: &[PathBuf],
    built: Option<PathBuf>,
    ui: &mut Ui,
) -> Result<Vec<(Platform, Binary)>, CommandError> {
    let mut loaders = Vec::new();
    for path in named.iter().chain(&built) {
        let binary = read_binary(path, ui)?;
        loaders.push((image_platform(&binary)?, binary));
    }
    let native = Platform::linux(&Architecture::host().to_string());
    for platform in platforms {
        if loaders.iter().any(|(of, _)| of == platform) {
            continue;
        }
        if *platform != native {
            return Err(CommandError::usage(format!("there is no loader for {platform}"))
                .hint(format!("Name a build of vault-token-plugin for {platform} with --loader.")));
        }
        let own = std::env::current_exe().map_err(|error| {
            CommandError::failed("this program does not find its own file").caused_by(error)
        })?;
        loaders.push((native.clone(), check_own_loader(read_binary(&own, ui)?)?));
    }
    Ok(loaders)
}

/// This program, if it runs in an image with nothing else in it.
fn check_own_loader(binary: Binary) -> Result<Binary, CommandError> {
    image_platform(&binary).map_err(|_| {
        CommandError::failed("this program is linked dynamically, and so cannot be the loader of the image")
            .hint(
                "Name a static build of vault-token-plugin with --loader FILE. The one that makes it: RUSTFLAGS='-C \
                 target-feature=+crt-static' cargo build --release --target x86_64-unknown-linux-gnu",
            )
    })?;
    Ok(binary)
}

fn read_binary(path: &Path, ui: &mut Ui) -> Result<Binary, CommandError> {
    let path = std::path::absolute(path).map_err(|error| {
        CommandError::usage(format!("{} is no path of a binary", path.display())).caused_by(error)
    })?;
    let binary = Binary::read(&path, &mut |done, total| ui.progress("hashing", done, total));
    ui.end_progress();
    binary.map_err(|error| CommandError::usage("there is no such binary").caused_by(error))
}

/// It becomes the name of a file, and of an image.
fn check_name(name: &str) -> Result<(), CommandError> {
    let fits = |at: usize, byte: u8| byte.is_ascii_alphanumeric() || (at > 0 && b"-_.".contains(&byte));
    if !name.is_empty() && name.bytes().enumerate().all(|(at, byte)| fits(at, byte)) {
        return Ok(());
    }
    Err(CommandError::usage(format!("{name:?} cannot be the name of a plugin")).hint(
        "Name it with --name, in letters, digits, dashes, dots and underscores, such as custom-plugin.",
    ))
}

#[cfg(test)]
mod tests {
    use rollout::Elf;

    use super::*;

    fn binary() -> Binary {
        Binary {
            path: "/built/custom".into(),
            size: 1,
            sha256: "a".repeat(64),
            executable: true,
            format: Format::Other,
        }
    }

    #[test]
    fn only_a_static_program_is_its_own_loader() {
        let linked = |linkage| Binary {
            format: Format::Elf(Elf { architecture: Architecture::host(), linkage }),
            ..binary()
        };
        assert!(check_own_loader(linked(Linkage::Static)).is_ok());
        let dynamic = linked(Linkage::Dynamic { interpreter: "/lib64/ld-linux-x86-64.so.2".into() });
        let refused = check_own_loader(dynamic).expect_err("there is no linker in the image").render();
        for words in ["cannot be the loader of the image", "--loader FILE"] {
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn the_version_is_what_it_says_itself_if_its_name_agrees() {
        let ran = |version: Option<&str>| {
            ProbeOutcome::Ran(rollout::ProbedPlugin {
                version: version.map(str::to_owned),
                kind: None,
                protocol: 5,
                multiplexing: true,
            })
        };
        let named = || Some("1.2.3".parse::<Version>().expect("a version"));
        for (named, probed, expected) in [
            (None, ran(Some("v1.2.3")), Some("1.2.3")),
            (named(), ran(Some("v1.2.3")), Some("1.2.3")),
            (named(), ran(None), Some("1.2.3")),
            (named(), ran(Some("v1.2.4")), None),
            (None, ran(None), None),
            (None, ran(Some("latest")), None),
            (named(), ProbeOutcome::Failed { output: "no handshake".into() }, None),
        ] {
            let found = input_version(&binary(), named, probed).ok().map(|version| version.to_string());
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn names_are_those_of_files_and_images() {
        for name in ["custom-plugin", "a", "x_y.z"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "../vault", "-x", ".x", "a b", "a/b", "ä"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn every_platform_has_every_version() {
        let input = |platform: &str, version: &str| PackageInput {
            name: "custom".into(),
            version: version.parse().expect("a version"),
            platform: Platform::linux(platform),
            binary: binary(),
            started: true,
        };
        let inputs = |inputs| PackageInputs { inputs, loaders: Vec::new() };
        let whole = inputs(vec![input("amd64", "1.0.0"), input("arm64", "1.0.0")]);
        assert!(whole.check_complete(&[]).is_ok());
        assert_eq!(
            whole.sums().iter().map(|(file, _)| file).collect::<Vec<_>>(),
            ["amd64/custom-1.0.0", "arm64/custom-1.0.0"]
        );
        assert!(whole.check_complete(&[Platform::linux("arm")]).is_err());
        let gap = inputs(vec![input("amd64", "1.0.0"), input("amd64", "1.0.1"), input("arm64", "1.0.0")]);
        let error = gap.check_complete(&[]).expect_err("a gap");
        assert!(error.render().contains("there is no custom-1.0.1 for linux/arm64"), "{}", error.render());
        let twice = inputs(vec![input("amd64", "1.0.0"), input("amd64", "1.0.0")]);
        assert!(twice.check_complete(&[]).is_err());
        let highest =
            inputs(vec![input("amd64", "1.0.0"), input("amd64", "1.10.0+b"), input("amd64", "1.9.0")]);
        assert_eq!(highest.image_name(None).to_string(), "custom:1.10.0_b");
    }
}
