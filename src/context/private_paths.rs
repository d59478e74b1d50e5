//! Paths that may contain the caller's credentials, and are hidden from an untrusted plugin binary.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Kubernetes mounts the tokens of a pod.
const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets";

/// Hidden paths if the home directory is the root, as in a container.
const HOME_CREDENTIAL_PATHS: [&str; 6] = [".vault-token", ".kube", ".docker", ".aws", ".config", ".ssh"];

/// Variables in which other programs look for the paths of their credentials.
const CREDENTIAL_VARIABLES: [&str; 8] = [
    "XDG_RUNTIME_DIR",
    "DOCKER_CONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CLOUDSDK_CONFIG",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_CONFIG_DIR",
];

/// Returns the paths. `home_of_user` is hidden in addition to `HOME`, because programs find their files in either. `named` are files on the
/// command line.
pub(super) fn private_paths(
    variable: &dyn Fn(&str) -> Option<String>,
    home_of_user: Option<PathBuf>,
    kubeconfig: Option<PathBuf>,
    named: impl IntoIterator<Item = PathBuf>,
) -> Vec<PathBuf> {
    let path = |name: &str| variable(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    let mut paths = vec![PathBuf::from(SERVICE_ACCOUNT_DIR)];
    let mut homes: Vec<PathBuf> = path("HOME").into_iter().chain(home_of_user).collect();
    homes.dedup();
    for home in &homes {
        if home == Path::new("/") {
            // The root directory would hide everything.
            paths.extend(HOME_CREDENTIAL_PATHS.iter().map(|name| home.join(name)));
        } else {
            paths.push(home.clone());
        }
    }
    let kubeconfigs = variable("KUBECONFIG").unwrap_or_default();
    let mut kubeconfigs: Vec<PathBuf> =
        kubeconfigs.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    kubeconfigs.extend(kubeconfig);
    paths.extend(kubeconfigs.iter().cloned());
    let at_home = homes.iter().map(|home| home.join(".kube/config"));
    paths.extend(kubeconfigs.iter().cloned().chain(at_home).flat_map(|path| kubeconfig_credentials(&path)));
    paths.extend(CREDENTIAL_VARIABLES.iter().filter_map(|name| path(name)));
    paths.extend(named);
    paths
}

/// The credential files that a kubeconfig names; empty if it cannot be read.
fn kubeconfig_credentials(kubeconfig: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(kubeconfig).unwrap_or_default();
    let documents = yaml::documents(&text).unwrap_or_default();
    let directory = kubeconfig.parent().unwrap_or(Path::new(""));
    let users = documents.iter().flat_map(|document| document["users"].as_array().into_iter().flatten());
    let files = users.flat_map(|named| {
        let user = &named["user"];
        ["client-key", "client-certificate", "tokenFile"].map(|field| user[field].as_str())
    });
    files.flatten().filter(|file| !file.is_empty()).map(|file| directory.join(file)).collect()
}

/// The home of the effective user according to `/etc/passwd`, which programs use if `HOME` is not set. Other user databases, such as LDAP,
/// are not queried.
pub(super) fn passwd_home() -> Option<PathBuf> {
    let table = fs::read_to_string("/etc/passwd").unwrap_or_default();
    home_from_passwd(&table, rustix::process::geteuid().as_raw()).or_else(std::env::home_dir)
}

/// Each line is `name:password:uid:gid:comment:home:shell`.
fn home_from_passwd(table: &str, user: u32) -> Option<PathBuf> {
    let homes = table.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        let is_user = fields.next()?.parse() == Ok(user);
        fields.nth(2).filter(|home| is_user && !home.is_empty())
    });
    homes.map(PathBuf::from).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(home: &str, home_of_user: &str, key: &str) -> Vec<String> {
        let variable = |name: &str| match name {
            "HOME" => Some(home.to_owned()),
            "KUBECONFIG" => Some("/etc/kube/a::/etc/kube/b".to_owned()),
            "GOOGLE_APPLICATION_CREDENTIALS" => Some("/etc/google.json".to_owned()),
            _ => None,
        };
        let user = Some(PathBuf::from(home_of_user));
        let paths = private_paths(&variable, user, Some("/etc/kube/c".into()), [PathBuf::from(key)]);
        paths.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn what_is_hidden_from_plugins_is_each_home_and_what_lies_elsewhere() {
        let kube = ["/etc/kube/a", "/etc/kube/b", "/etc/kube/c"];
        let rest = ["/etc/google.json", "/key.pem"];
        assert_eq!(
            hidden("/home/me", "/home/me", "/key.pem"),
            [&["/var/run/secrets", "/home/me"][..], &kube, &rest].concat()
        );
        assert_eq!(
            hidden("/tmp/other", "/home/me", "/key.pem"),
            [&["/var/run/secrets", "/tmp/other", "/home/me"][..], &kube, &rest].concat()
        );
        assert_eq!(hidden("", "/home/me", "/key.pem")[1], "/home/me");
        let in_a_container = hidden("/", "/root", "/key.pem");
        for there in ["/.vault-token", "/root", "/key.pem"] {
            assert!(in_a_container.iter().any(|path| path == there), "{in_a_container:?}");
        }
        assert!(in_a_container.iter().all(|path| path != "/"), "{in_a_container:?}");
    }

    #[test]
    fn the_files_of_credentials_in_a_kubeconfig_are_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("config");
        assert!(kubeconfig_credentials(&path).is_empty());
        let text = "users:\n- {name: a, user: {client-key: a.key, client-certificate: /pki/a.crt}}\n\
                    - {name: b, user: {tokenFile: ./b, token: abc}}\n- {name: c}\n";
        fs::write(&path, text).expect("a file");
        let found = [directory.path().join("a.key"), "/pki/a.crt".into(), directory.path().join("./b")];
        assert_eq!(kubeconfig_credentials(&path), found);
        fs::write(
            &path,
            "users: [{name: a, user: {client-key: a.key}}]\n---\nusers: [{user: {tokenFile: /b}}]\n",
        )
        .expect("a file");
        assert_eq!(kubeconfig_credentials(&path), [directory.path().join("a.key"), "/b".into()]);
        fs::write(&path, "a text").expect("a file");
        assert!(kubeconfig_credentials(&path).is_empty());
    }

    #[test]
    fn the_home_of_a_user_is_found_by_its_number() {
        let table =
            "root:x:0:0:root:/root:/bin/sh\n# a comment\nme:x:1000:1000::/home/me:/bin/sh\nno:x:7:7:::\n";
        assert_eq!(home_from_passwd(table, 1000), Some(PathBuf::from("/home/me")));
        assert_eq!(home_from_passwd(table, 0), Some(PathBuf::from("/root")));
        assert_eq!(home_from_passwd(table, 7), None);
        assert_eq!(home_from_passwd(table, 100), None);
    }
}
