//! What is registered, compared with the files.

use std::fs;

use harness::set_mode;

use super::{FILE, Server, of_another_machine, on_shared_server, without_its_linker};
use crate::lab::{BINARY, NAME};

impl Server {
    /// Registers a file of this content as version 1.0.0 of its own plugin.
    async fn register_content(&self, name: &str, content: &[u8]) {
        let file = format!("{name}-1.0.0");
        self.place(&file, content);
        self.register_by_hand(name, "v1.0.0", &file).await;
    }
}

#[test]
fn vtp_301_the_file_of_an_unused_version_is_missing() {
    on_shared_server(async |server| {
        server.register_content("lost", b"#!/bin/sh\n").await;
        fs::remove_file(server.directory().join("lost-1.0.0")).unwrap();
        server.doctor.cures("VTP-301").await;
    });
}

#[test]
fn vtp_301_the_file_of_a_version_in_use_is_missing() {
    on_shared_server(async |server| {
        let kept = server.lab.folder().join("kept");
        fs::rename(server.file(), &kept).unwrap();
        server.doctor.cures_with("VTP-301", &kept).await;
    });
}

#[test]
fn vtp_303_a_file_has_another_checksum() {
    on_shared_server(async |server| {
        let kept = server.lab.folder().join("kept");
        fs::rename(server.file(), &kept).unwrap();
        server.place(FILE, b"#!/bin/sh\n");
        server.doctor.cures_with("VTP-303", &kept).await;
    });
}

#[test]
fn vtp_304_a_file_is_not_executable() {
    on_shared_server(async |server| {
        set_mode(&server.file(), 0o644);
        server.doctor.cures("VTP-304").await;
    });
}

#[test]
fn vtp_306_a_plugin_is_registered_without_a_version() {
    on_shared_server(async |server| {
        server.place("bare", &fs::read("/bin/true").unwrap());
        server.register_by_hand(NAME, "", "bare").await;
        server.doctor.cures("VTP-306").await;
    });
}

#[test]
fn vtp_307_a_file_is_no_executable() {
    on_shared_server(async |server| {
        server.register_content("junk", b"<html>not found</html>").await;
        server.doctor.cures("VTP-307").await;
    });
}

#[test]
fn vtp_308_a_file_is_for_another_machine() {
    on_shared_server(async |server| {
        server.register_content("foreign", &of_another_machine(fs::read(BINARY).unwrap())).await;
        server.doctor.cures("VTP-308").await;
    });
}

#[test]
fn vtp_309_the_dynamic_linker_of_a_file_is_missing() {
    on_shared_server(async |server| {
        server.register_content("linked", &without_its_linker(server.lab.folder())).await;
        server.doctor.cures("VTP-309").await;
    });
}
