//! With which token a credential is kept: the caller's, or that of a login.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lease_keeper::{AuthMethod, LifetimeWatcher};

use crate::context::Context;
use crate::error::CommandError;

/// How to log in.
#[derive(Debug, Args)]
#[command(next_help_heading = "Login")]
pub(super) struct LoginArgs {
    /// Login method: token or kubernetes
    ///
    /// `token` takes VAULT_TOKEN or ~/.vault-token, `kubernetes` logs in to Vault's Kubernetes auth method.
    #[arg(long, value_enum, default_value_t = LoginMethod::Token, value_name = "METHOD", hide_possible_values = true)]
    auth: LoginMethod,
    /// Role of the auth method
    #[arg(long, required_if_eq("auth", "kubernetes"), value_name = "ROLE")]
    auth_role: Option<String>,
    /// Mount path of the auth method
    #[arg(long, default_value = "kubernetes", value_name = "PATH")]
    auth_mount: String,
    /// Token of the service account; read again at each login
    #[arg(
        long,
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount/token",
        value_name = "FILE",
        hide_short_help = true
    )]
    auth_token_path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LoginMethod {
    Token,
    Kubernetes,
}

impl LoginArgs {
    /// Begins to keep a credential.
    pub(super) fn start_watcher(
        self,
        path: String,
        context: &Context,
    ) -> Result<LifetimeWatcher, CommandError> {
        let LoginArgs { auth, auth_role, auth_mount, auth_token_path } = self;
        let (client, auth) = match (auth, auth_role) {
            (LoginMethod::Token, None) => (context.client()?, AuthMethod::CallerToken),
            (LoginMethod::Token, Some(_)) => {
                return Err(CommandError::usage("--auth-role is of no use with a token")
                    .hint("Add --auth kubernetes to log in with the service account of this pod."));
            }
            (LoginMethod::Kubernetes, role) => {
                let role = role.unwrap_or_default();
                let mount = auth_mount.trim_matches('/').trim_start_matches("auth/").to_owned();
                (
                    context.client_without_token()?,
                    AuthMethod::Kubernetes { mount, role, token_path: auth_token_path },
                )
            }
        };
        Ok(LifetimeWatcher::start(client, auth, path))
    }
}
