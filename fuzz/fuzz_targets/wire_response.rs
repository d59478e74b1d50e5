#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vault_plugin::fuzzing::wire_response(bytes));
