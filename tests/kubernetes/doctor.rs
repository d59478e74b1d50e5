//! `doctor` on the pods of a real Kubernetes: each test breaks something, doctor names it and nothing else, and the commands
//! that it prints repair it.

mod catalog;
mod files;
mod healthy_variants;
mod nodes;
mod non_root;
mod openbao;
mod plugin_storage;
mod pods;
mod without_shell;
