#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| go_plugin::fuzzing::log_lines(bytes));
