//! The catalog, compared with the files.

use std::fs;

use harness::set_mode;

use super::{DoctoredServer, PLUGIN_FILE, for_other_architecture, on_shared_server, with_missing_linker};
use crate::lab::{BINARY, NAME};

impl DoctoredServer {
    /// Registers a file with this content as version 1.0.0 of a separate plugin.
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
        server.doctor.assert_fixed_by_commands("VTP-301").await;
    });
}

#[test]
fn vtp_301_the_file_of_a_version_in_use_is_missing() {
    on_shared_server(async |server| {
        let kept = server.lab.folder().join("kept");
        fs::rename(server.file(), &kept).unwrap();
        server.doctor.assert_fixed_by_commands_with_file("VTP-301", &kept).await;
    });
}

#[test]
fn vtp_303_a_file_has_another_checksum() {
    on_shared_server(async |server| {
        let kept = server.lab.folder().join("kept");
        fs::rename(server.file(), &kept).unwrap();
        server.place(PLUGIN_FILE, b"#!/bin/sh\n");
        server.doctor.assert_fixed_by_commands_with_file("VTP-303", &kept).await;
    });
}

#[test]
fn vtp_304_a_file_is_not_executable() {
    on_shared_server(async |server| {
        set_mode(&server.file(), 0o644);
        server.doctor.assert_fixed_by_commands("VTP-304").await;
    });
}

#[test]
fn vtp_306_a_plugin_is_registered_without_a_version() {
    on_shared_server(async |server| {
        server.place("bare", &fs::read("/bin/true").unwrap());
        server.register_by_hand(NAME, "", "bare").await;
        server.doctor.assert_fixed_by_commands("VTP-306").await;
    });
}

#[test]
fn vtp_307_a_file_is_no_executable() {
    on_shared_server(async |server| {
        server.register_content("junk", b"<html>not found</html>").await;
        server.doctor.assert_fixed_by_commands("VTP-307").await;
    });
}

#[test]
fn vtp_308_a_file_is_for_another_machine() {
    on_shared_server(async |server| {
        server.register_content("foreign", &for_other_architecture(fs::read(BINARY).unwrap())).await;
        server.doctor.assert_fixed_by_commands("VTP-308").await;
    });
}

#[test]
fn vtp_309_the_dynamic_linker_of_a_file_is_missing() {
    on_shared_server(async |server| {
        server.register_content("linked", &with_missing_linker(server.lab.folder())).await;
        server.doctor.assert_fixed_by_commands("VTP-309").await;
    });
}
