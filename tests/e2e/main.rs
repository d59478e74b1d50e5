//! Journeys on a real Vault or OpenBao and a real HTTP upstream, on this machine and as an ordinary user.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod exit_codes;
mod failing_server;
mod killed_commands;
mod lab;
mod operator;
mod pausing_proxy;
mod token_accounting;
mod volume_kinds;

mod alerts;
mod api_description;
mod auth_method;
mod auth_method_lifecycle;
mod connection;
mod crash_recovery;
mod credentials;
mod creds_exec;
mod database_plugin;
mod describe_an_api;
mod dev;
mod doctor;
mod estate;
mod events;
mod interrupts;
mod invalid_requests;
mod jwt_auth_method;
mod loader;
mod metrics;
mod multi_node;
mod namespaces;
mod no_leaked_tokens;
mod no_secret_exposed;
mod openbao;
mod openldap;
mod outage;
mod package;
mod package_refusals;
mod plugin_versions;
mod presets;
mod register;
mod register_refusals;
mod scratch_container;
mod token_apis;
mod token_safety;
mod unreachable_server;
mod upgrade;
mod upgrade_and_rollback;
mod vault_parity;
