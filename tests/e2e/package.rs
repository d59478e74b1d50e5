//! Images as independent tools see them: built twice, unpacked, started, pushed to a real registry and pulled.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use harness::{Output, Product, Program, Registry, SecretScan, Storage, VaultServer, build};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::Lab;

const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");

/// A folder with two versions of a plugin, and a loader.
struct PackageFixture {
    folder: TempDir,
    loader: PathBuf,
}

impl PackageFixture {
    /// For images that are not started. Any static program can be their loader, and a small one is packed faster.
    async fn new() -> PackageFixture {
        PackageFixture::with_loader(build::busybox().await).await
    }

    async fn with_loader(loader: PathBuf) -> PackageFixture {
        let workshop = PackageFixture { folder: tempfile::tempdir().unwrap(), loader };
        for version in ["1.0.0", "2.0.0"] {
            let file = workshop.path(&format!("kv-{version}"));
            fs::copy(build::go_kv(&format!("v{version}")).await, file).unwrap();
        }
        workshop
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn text(&self, file: &str) -> String {
        self.path(file).display().to_string()
    }

    /// Packs both versions.
    async fn package(&self, program: &Program, more: &[&str]) -> Output {
        let files = ["package", &self.text("kv-1.0.0"), &self.text("kv-2.0.0")].map(str::to_owned);
        let loader = ["--loader".to_owned(), self.loader.display().to_string()];
        let sums = ["--sums".to_owned(), self.text("SHA256SUMS"), "--output".into(), "json".into()];
        program
            .run(files.into_iter().chain(loader).chain(sums).chain(more.iter().map(|&text| text.to_owned())))
            .await
    }
}

async fn tool(name: &str) -> Program {
    Program::new(build::debian_program(name).await)
}

async fn inspect(image: &str) -> Value {
    tool("skopeo").await.run(["inspect", image]).await.json()
}

#[tokio::test]
async fn an_image_is_the_same_wherever_it_is_made_and_whoever_looks_at_it() {
    let (one, other) = (PackageFixture::new().await, PackageFixture::new().await);
    let mut made = Vec::new();
    for workshop in [&one, &other] {
        let (layout, archive) = (workshop.text("layout"), workshop.text("image.tar"));
        let outputs = ["--layout", &layout, "--archive", &archive, "--label", "team=platform"];
        made.push(workshop.package(&Program::new(BINARY), &outputs).await.json());
    }
    let digest = &made[0]["image"]["digest"];
    assert_eq!(*digest, made[1]["image"]["digest"]);
    assert_eq!(made[0]["image"]["name"], "kv:2.0.0");
    assert!(fs::read(one.path("image.tar")).unwrap() == fs::read(other.path("image.tar")).unwrap());

    let layout = format!("oci:{}:2.0.0", one.text("layout"));
    for image in [&layout, &format!("oci-archive:{}:2.0.0", one.text("image.tar"))] {
        let seen = inspect(image).await;
        assert_eq!(seen["Digest"], *digest, "{image}");
        assert_eq!((&seen["Os"], &seen["Architecture"]), (&"linux".into(), &machine().into()));
        assert_eq!(seen["Labels"]["team"], "platform");
        assert_eq!(seen["Labels"]["org.opencontainers.image.version"], "2.0.0");
        assert_eq!(seen["Layers"].as_array().unwrap().len(), 4);
    }
    let config = tool("skopeo").await.run(["inspect", "--config", &layout]).await.json();
    assert_eq!(config["config"]["User"], "100:1000");
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/vault-token-plugin", "loader"]));
    // OpenBao runs the entrypoint of the image if its stanza names no file.
    let alone = one.text("alone");
    let kv = one.text("kv-1.0.0");
    let loader = one.loader.display().to_string();
    let package = ["package", &kv, "--loader", &loader, "--sums", &one.text("sums"), "--layout", &alone];
    let said = Program::new(BINARY).run(package).await.success();
    assert!(!said.contains("binary_name"), "{said}");
    let config =
        tool("skopeo").await.run(["inspect", "--config", &format!("oci:{alone}:1.0.0")]).await.json();
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/kv-1.0.0"]));
    let both = ["package", &kv, &one.text("kv-2.0.0"), "--loader", &loader, "--sums", &one.text("sums")];
    let said =
        Program::new(BINARY).run([&both[..], &["--layout", &one.text("both")]].concat()).await.success();
    for file in ["kv-1.0.0", "kv-2.0.0"] {
        assert!(said.contains(&format!("binary_name = \"{file}\"")), "{said}");
    }
    // The format of `docker load`.
    let docker = inspect(&format!("docker-archive:{}:kv:2.0.0", one.text("image.tar"))).await;
    assert_eq!(docker["Labels"]["team"], "platform");
}

#[tokio::test]
async fn an_image_holds_its_plugins_for_every_server_and_loads_them_without_a_shell() {
    let workshop = PackageFixture::with_loader(build::static_binary("vault-token-plugin").await).await;
    let layout = workshop.text("layout");
    workshop.package(&Program::new(BINARY), &["--layout", &layout]).await.success();
    let bundle = workshop.path("bundle");
    let image = format!("{layout}:2.0.0");
    let mut unpack = vec!["unpack", "--image", &image];
    if !rustix::process::geteuid().is_root() {
        unpack.push("--rootless");
    }
    unpack.push(bundle.to_str().unwrap());
    tool("umoci").await.run(unpack).await.success();

    let root = bundle.join("rootfs");
    let sums = fs::read_to_string(root.join("plugins/SHA256SUMS")).unwrap();
    assert_eq!(sums, fs::read_to_string(workshop.path("SHA256SUMS")).unwrap());
    for file in ["kv-1.0.0", "kv-2.0.0"] {
        // OpenBao takes a plugin from the root of an image, where it must be a file, not a link.
        let packed = fs::symlink_metadata(root.join(file)).unwrap();
        assert!(packed.is_file());
        assert_eq!(packed.permissions().mode() & 0o7777, 0o755);
        assert_eq!(packed.ino(), fs::metadata(root.join("plugins").join(file)).unwrap().ino());
        assert!(fs::read(root.join(file)).unwrap() == fs::read(workshop.path(file)).unwrap());
    }
    assert_eq!(fs::metadata(root.join("vault-token-plugin")).unwrap().permissions().mode() & 0o7777, 0o755);

    fs::create_dir_all(root.join("vault/plugins")).unwrap();
    let loader = Program::new("/vault-token-plugin").chroot(&root);
    let first = loader.run(["loader", "--output", "json"]).await.json();
    assert_eq!(reported_outputs(&first), ["copied", "copied"]);
    let second = loader.run(["loader", "--output", "json"]).await.json();
    assert_eq!(reported_outputs(&second), ["kept", "kept"]);
    for file in ["kv-1.0.0", "kv-2.0.0"] {
        let copied = root.join("vault/plugins").join(file);
        assert!(fs::read(&copied).unwrap() == fs::read(workshop.path(file)).unwrap());
    }
    let listed = fs::read_dir(root.join("vault/plugins")).unwrap().count();
    assert_eq!(listed, 2, "nothing else is left there");
}

#[tokio::test]
async fn an_image_goes_through_a_real_registry_whole_and_only_once() {
    let (workshop, registry) = (PackageFixture::new().await, Registry::start().await);
    let image = format!("{}/team/kv", registry.address());
    let config = workshop.path("docker");
    fs::create_dir(&config).unwrap();

    // Every access needs credentials.
    let anonymous = Program::new(BINARY).env("DOCKER_CONFIG", config.display().to_string());
    let refused = workshop.package(&anonymous, &["--push", &image]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("docker login {}", registry.address())), "{}", refused.stderr);

    log_in(&registry, &config).await;
    let program = Program::new(BINARY).env("DOCKER_CONFIG", config.display().to_string());
    let pushed = workshop.package(&program, &["--push", &image]).await;
    let talk = pushed.stderr.clone();
    let report = pushed.json();
    let sent = &report["outputs"][0];
    assert_eq!(sent["image"], format!("{image}:2.0.0"));
    assert_eq!((&sent["blobs_sent"], &sent["blobs_present"]), (&5.into(), &0.into()), "{sent}");
    let again = workshop.package(&program, &["--push", &image]).await.json();
    assert_eq!(again["outputs"][0]["blobs_sent"], 0);
    assert_eq!(again["outputs"][0]["digest"], report["image"]["digest"]);

    // A pulled image equals the one that was built.
    let pulled = format!("oci:{}:2.0.0", workshop.text("pulled"));
    let who = format!("{}:{}", Registry::USER, Registry::PASSWORD);
    let source = format!("docker://{image}:2.0.0");
    let copy = ["--insecure-policy", "copy", "--src-tls-verify=false", "--src-creds", &who, &source, &pulled];
    tool("skopeo").await.run(copy).await.success();
    assert_eq!(inspect(&pulled).await["Digest"], report["image"]["digest"]);

    let scan = SecretScan::new().add_secret("the password", Registry::PASSWORD);
    scan.assert_no_secret_in("what was said", format!("{talk}{report}{again}{}", refused.stderr));
}

#[tokio::test]
async fn an_upgrade_takes_its_version_out_of_an_image() {
    let (lab, workshop, registry) = (Lab::new().await, PackageFixture::new().await, Registry::start().await);
    let config = workshop.path("docker");
    fs::create_dir(&config).unwrap();
    log_in(&registry, &config).await;
    let program = Program::new(BINARY).vault(&lab.vault).env("DOCKER_CONFIG", config.display().to_string());
    let (image, layout) = (format!("{}/team/kv", registry.address()), workshop.text("layout"));
    // The server has a built-in plugin called kv.
    let [first, second] = ["1.0.0", "2.0.0"].map(|version| workshop.text(&format!("notes-{version}")));
    fs::copy(workshop.path("kv-1.0.0"), &first).unwrap();
    fs::copy(workshop.path("kv-2.0.0"), &second).unwrap();
    let (loader, sums) = (workshop.loader.display().to_string(), workshop.text("SHA256SUMS"));
    let package = ["package", &first, &second, "--loader", &loader, "--sums", &sums];
    program.run([&package[..], &["--push", &image, "--layout", &layout]].concat()).await.success();
    let running = async || {
        let mounts = lab.vault.request("GET", "sys/mounts", None).await.success();
        mounts["notes/"]["running_plugin_version"].as_str().unwrap().to_owned()
    };

    program.run(["register", "notes", "--mount", "notes", "--binary", &first]).await.success();
    assert_eq!(running().await, "v1.0.0");
    // The newest version in it.
    let whole = format!("{image}:2.0.0");
    program.run(["upgrade", "--image", &whole]).await.success();
    assert_eq!(running().await, "v2.0.0");
    let again = program.run(["upgrade", "--image", &whole]).await.success();
    assert!(again.starts_with("Nothing to do"), "{again}");
    let back = ["upgrade", "--image", &layout, "--version", "1.0.0", "--allow-downgrade"];
    program.run(back).await.success();
    assert_eq!(running().await, "v1.0.0");

    for (args, says) in [
        (
            vec!["upgrade", "--image", &layout, "--version", "3.0.0"],
            "the image contains no notes 3.0.0 for linux/",
        ),
        (vec!["upgrade", "--image", &format!("{image}:9.9.9")], "9.9.9 not found"),
        (vec!["upgrade", "--image", &lab.folder().display().to_string()], "oci-layout"),
    ] {
        let refused = program.run(args).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
    fs::write(Path::new(&layout).join("blobs/sha256").join(largest(&layout)), "damaged").unwrap();
    let damaged = program.run(["upgrade", "--image", &layout]).await;
    assert!(damaged.stderr.contains("digest mismatch in image"), "{}", damaged.stderr);
    assert_eq!(running().await, "v1.0.0");
}

/// As docs/package.md describes it.
#[tokio::test]
async fn openbao_downloads_registers_and_mounts_the_plugin_of_an_image() {
    let (workshop, registry) = (PackageFixture::new().await, Registry::start().await);
    let config = workshop.path("docker");
    fs::create_dir(&config).unwrap();
    log_in(&registry, &config).await;
    let config = config.display().to_string();
    let (plugin, image) = (workshop.text("notes-1.0.0"), format!("{}/team/notes", registry.address()));
    fs::copy(workshop.path("kv-1.0.0"), &plugin).unwrap();
    let (loader, sums) = (workshop.loader.display().to_string(), workshop.text("SHA256SUMS"));
    let package =
        ["package", &plugin, "--loader", &loader, "--sums", &sums, "--push", &image, "--tag", "v1.0.0"];
    Program::new(BINARY).env("DOCKER_CONFIG", &config).run(package).await.success();

    let sha256 = fs::read_to_string(&sums).unwrap()[..64].to_owned();
    let stanza =
        json!({"image": image, "version": "v1.0.0", "binary_name": "notes-1.0.0", "sha256sum": sha256});
    let openbao = VaultServer::builder().product(Product::OpenBao).storage(Storage::Raft);
    let openbao = openbao
        .env("DOCKER_CONFIG", config)
        .setting("plugin_auto_download", json!(true))
        .setting("plugin_auto_register", json!(true))
        .setting("plugin", json!({"secret": {"notes": stanza}}));
    let server = openbao.start().await;
    server.request("POST", "sys/mounts/notes", Some(json!({"type": "notes"}))).await.success();
    server.request("POST", "notes/first", Some(json!({"text": "kept"}))).await.success();
    assert_eq!(server.request("GET", "notes/first", None).await.success()["data"]["text"], "kept");
    let mounts = server.request("GET", "sys/mounts", None).await.success();
    let running = ["running_plugin_version", "running_sha256"].map(|field| mounts["notes/"][field].clone());
    assert_eq!(running, ["v1.0.0", &sha256]);
}

fn largest(layout: &str) -> String {
    let blobs = fs::read_dir(Path::new(layout).join("blobs/sha256")).unwrap().map(Result::unwrap);
    let largest = blobs.max_by_key(|blob| blob.metadata().unwrap().len()).unwrap();
    largest.file_name().into_string().unwrap()
}

#[tokio::test]
async fn several_platforms_are_one_image() {
    let workshop = PackageFixture::new().await;
    let foreign = if machine() == "amd64" { ("arm64", 183) } else { ("amd64", 62) };
    let folder = workshop.path(foreign.0);
    fs::create_dir(&folder).unwrap();
    let mut arguments = Vec::new();
    for file in ["kv-1.0.0", "kv-2.0.0", "loader"] {
        let path = folder.join(file);
        fs::write(&path, elf(foreign.1, file)).unwrap();
        arguments.push(path.display().to_string());
    }
    let (layout, platforms) = (workshop.text("layout"), ["linux/amd64", "linux/arm64"]);
    let platforms = platforms.iter().flat_map(|platform| ["--platform", platform]);
    let more: Vec<&str> = [&*arguments[0], &arguments[1], "--loader", &arguments[2], "--layout", &layout]
        .into_iter()
        .chain(platforms)
        .collect();
    let packed = workshop.package(&Program::new(BINARY), &more).await;
    assert!(packed.stderr.contains("cannot be started on this machine"), "{}", packed.stderr);
    let report = packed.json();
    assert_eq!(report["image"]["platforms"].as_array().unwrap().len(), 2);
    for (architecture, at) in [("amd64", 0), ("arm64", 1)] {
        let image = format!("oci:{layout}:2.0.0");
        let seen =
            tool("skopeo").await.run(["--override-arch", architecture, "inspect", &image]).await.json();
        assert_eq!(seen["Architecture"], architecture);
        assert_eq!(report["image"]["platforms"][at]["platform"], format!("linux/{architecture}"));
    }
    let sums = fs::read_to_string(workshop.path("SHA256SUMS")).unwrap();
    assert!(sums.contains("  amd64/kv-1.0.0\n") && sums.contains("  arm64/kv-2.0.0\n"), "{sums}");
}

/// Logs in as `docker login` does.
async fn log_in(registry: &Registry, config: &Path) {
    let file = config.join("config.json").display().to_string();
    let login = [
        "login",
        "--tls-verify=false",
        "--authfile",
        &file,
        "--password-stdin",
        "--username",
        Registry::USER,
    ];
    let login = login.into_iter().chain([registry.address()]);
    tool("skopeo").await.run_with_input(login, Registry::PASSWORD).await.success();
}

fn reported_outputs(report: &Value) -> Vec<&str> {
    report["plugins"].as_array().unwrap().iter().map(|plugin| plugin["action"].as_str().unwrap()).collect()
}

/// The name of this machine's architecture in images.
fn machine() -> &'static str {
    if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" }
}

/// The header of an executable for another architecture, which cannot be started here.
fn elf(machine: u8, content: &str) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    file[16..20].copy_from_slice(&[2, 0, machine, 0]);
    file[52] = 64;
    file.extend_from_slice(content.as_bytes());
    file
}
