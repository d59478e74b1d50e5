//! `doctor` on the pods of a real Kubernetes. Each test breaks something; doctor reports exactly that, and the commands that it prints fix
//! it.

mod catalog;
mod files;
mod healthy_variants;
mod nodes;
mod non_root;
mod openbao;
mod plugin_storage;
mod pods;
mod without_shell;
