//! `doctor` on the pods of a real Kubernetes: each test breaks something, doctor names it and nothing else, and the commands
//! that it prints repair it.

mod catalog;
mod files;
mod keeping;
mod nodes;
mod openbao;
mod pods;
mod restricted;
mod variants;
mod without_shell;
