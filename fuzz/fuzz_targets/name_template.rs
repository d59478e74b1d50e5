#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| token_engine::fuzzing::name_template(bytes));
