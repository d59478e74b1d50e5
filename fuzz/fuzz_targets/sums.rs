#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rollout::fuzzing::sums(bytes));
